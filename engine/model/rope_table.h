// The rotary table of a model: cosine and sine of position times frequency.
#pragma once

#include <cstdint>
#include <vector>

namespace fallow::engine {

// `positions` rows of `head_size` values: (cos, sin) of each pair i at angle position * base^(-2i /
// head_size). The same bits on every host.
std::vector<float> RopeTable(std::uint32_t head_size, std::uint32_t positions, double base);

}  // namespace fallow::engine
