#include "agent/daemon/policy/near_words.h"

#include <algorithm>
#include <vector>

namespace fallow {
namespace {

constexpr std::size_t kMaxMistypedBytes = 64;

}  // namespace

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::size_t TooFar(std::string_view word) {
  if (word.size() > kMaxMistypedBytes) return 0;
  return std::max<std::size_t>(2, word.size() / 3) + 1;
}

}  // namespace fallow
