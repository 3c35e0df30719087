// SPIR-V modules as words: the rules of exact arithmetic checked, float controls added.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace fallow::shaders {

// What in a module breaks the contract's rules for exact kernels (docs/ARITHMETIC.md), one sentence
// each; empty when nothing does. Floating point may be added, subtracted and multiplied under
// NoContraction, compared and selected; anything else is named with its place. OpDot is allowed:
// the exact kernels use dot() on integer values below 2^24 only, which is exact in any order.
// kInvalidArgument when the words are no SPIR-V module.
Result<std::vector<std::string>> BrokenExactRules(std::span<const std::uint32_t> words);

// The same module with RoundingModeRTE declared for 32-bit floats on its entry point.
// kInvalidArgument when the words are no SPIR-V module with one entry point.
Result<std::vector<std::uint32_t>> WithRoundingModeRte(std::span<const std::uint32_t> words);

}  // namespace fallow::shaders
