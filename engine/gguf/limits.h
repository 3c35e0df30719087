// Limits of a GGUF file, each with its unit and reason.
#pragma once

#include <cstdint>

namespace fallow::engine {

// Version 1 had counts of 32 bits and is no longer written.
inline constexpr std::uint32_t kMinGgufVersion = 2;
inline constexpr std::uint32_t kMaxGgufVersion = 3;
inline constexpr std::uint64_t kMaxGgufTensorCount =
    65'536;                                                // the largest models have some thousands
inline constexpr std::uint64_t kMaxGgufKeyCount = 65'536;  // files have some dozens
inline constexpr std::uint64_t kMaxGgufKeyBytes = 65'535;  // as the format says
inline constexpr std::uint64_t kMaxGgufStringBytes = 4 << 20;  // a long chat template has 20 KiB
inline constexpr std::uint64_t kMaxGgufArrayElements =
    16 << 20;  // merges of a large vocabulary: about 1 Mi
inline constexpr std::uint32_t kMaxGgufArrayNesting =
    4;  // arrays of arrays are rare; deeper ones are a trick
inline constexpr std::uint64_t kMaxGgufTensorNameBytes = 64;  // as the format says
inline constexpr std::uint32_t kMaxGgufDimensions = 4;        // as the format says
inline constexpr std::uint64_t kMaxGgufTensorElements = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kDefaultGgufAlignmentBytes = 32;
inline constexpr std::uint64_t kMaxGgufAlignmentBytes = 1 << 20;  // in use: 32

inline constexpr std::uint32_t kMaxGgufSplitParts = 1024;  // the largest models have some hundreds

}  // namespace fallow::engine
