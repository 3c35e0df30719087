// The contract's functions in C++: shaders/include/exact.inc, the one source that GLSL includes
// too.
//
// Invariant: every translation unit that includes this is compiled with -ffp-contract=off and
// without fast-math. Threading: pure functions; they need the default floating-point environment
// (round to nearest even).
#pragma once

#include <bit>
#include <cstdint>

namespace fallow::engine {

#define EXACT_FN [[gnu::always_inline]] inline
#define EXACT_BITS(x) std::bit_cast<std::uint32_t>(x)
#define EXACT_FROM(u) std::bit_cast<float>(std::uint32_t{u})
#define uint std::uint32_t
#define precise
#include "shaders/include/exact.inc"
#undef precise
#undef uint
#undef EXACT_FROM
#undef EXACT_BITS
#undef EXACT_FN

}  // namespace fallow::engine
