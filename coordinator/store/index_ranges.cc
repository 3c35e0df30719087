#include "coordinator/store/index_ranges.h"

#include <charconv>

namespace fallow {
namespace {

// A lease never has more; a corrupt text must not fill the memory.
constexpr std::size_t kMaxIndices = 1 << 20;

bool TakeNumber(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string FormatIndexRanges(const std::vector<std::uint64_t>& indices) {
  std::string text;
  for (std::size_t first = 0; first < indices.size();) {
    std::size_t last = first;
    while (last + 1 < indices.size() && indices[last + 1] == indices[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(indices[first]);
    if (last > first) text += '-' + std::to_string(indices[last]);
    first = last + 1;
  }
  return text;
}

std::optional<std::vector<std::uint64_t>> ParseIndexRanges(std::string_view text) {
  std::vector<std::uint64_t> indices;
  while (!text.empty()) {
    if (!indices.empty()) {
      if (text.front() != ',') return std::nullopt;
      text.remove_prefix(1);
    }
    std::uint64_t first = 0;
    if (!TakeNumber(text, first)) return std::nullopt;
    std::uint64_t last = first;
    if (!text.empty() && text.front() == '-') {
      text.remove_prefix(1);
      if (!TakeNumber(text, last)) return std::nullopt;
    }
    if (last < first || (!indices.empty() && first <= indices.back())) return std::nullopt;
    if (last - first >= kMaxIndices - indices.size()) return std::nullopt;
    for (std::uint64_t index = first; index <= last; ++index) indices.push_back(index);
  }
  return indices;
}

}  // namespace fallow
