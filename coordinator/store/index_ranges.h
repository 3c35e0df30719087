// Sorted request indices as a short text: "0-63,70,75-80". A shard is mostly one run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow {

// `indices` ascending, none twice.
std::string FormatIndexRanges(const std::vector<std::uint64_t>& indices);
// None unless `text` is what FormatIndexRanges writes.
std::optional<std::vector<std::uint64_t>> ParseIndexRanges(std::string_view text);

}  // namespace fallow
