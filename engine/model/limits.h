// Limits of a model's shape, each with its unit and reason.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fallow::engine {

inline constexpr std::uint64_t kMaxContextTokens =
    1 << 20;                                            // rotary angles are exact enough up to here
inline constexpr std::size_t kMaxModelNameBytes = 256;  // of general.name; what is longer is cut
inline constexpr std::size_t kMaxLicenseBytes = 128;    // of general.license; what is longer is cut
inline constexpr std::uint64_t kMaxLayers = 1024;
inline constexpr std::uint64_t kMaxEmbeddingLength = 1 << 16;    // values
inline constexpr std::uint64_t kMaxFeedForwardLength = 1 << 18;  // values
inline constexpr std::uint64_t kMaxHeads = 1024;
inline constexpr std::uint64_t kMaxHeadValues = 256;  // what attention kernels keep at hand
inline constexpr std::size_t kMaxRefusals = 64;       // reasons listed of one file
// Sums of a matrix product's terms stay exact enough, and kernels' loops short enough.
inline constexpr std::uint64_t kMaxMatrixColumns = 1 << 19;

}  // namespace fallow::engine
