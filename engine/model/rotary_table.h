// The rotary table of a model: cosine and sine of position times frequency.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model_shape.h"

namespace fallow::engine {

// `positions` rows of `spec.size` values: (cos, sin) of each frequency. `divisors`: spec.size / 2
// of them, each above 0, or none. The same bits on every host.
std::vector<float> RotaryTable(const RotarySpec& spec, std::span<const float> divisors,
                               std::uint32_t positions);

}  // namespace fallow::engine
