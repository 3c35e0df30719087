#include "engine/cpu/step_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/check.h"

namespace fallow::engine {
namespace {

std::unexpected<Error> BeyondPages(std::uint32_t row, std::uint32_t position) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("row {}: position {} is beyond its pages or the caches", row, position));
}

// Rows of one sequence share its first page, and no two sequences do. A row that sees further than
// itself sees what another row stores, in this step or before.
bool AreStrangers(const StepRows& rows) {
  if (!rows.last_seen.empty() && !std::ranges::equal(rows.last_seen, rows.positions)) return false;
  std::unordered_set<std::uint32_t> first_pages;
  for (std::uint32_t r = 0; r < rows.count(); ++r) {
    if (!first_pages.insert(rows.pages[std::size_t{r} * rows.pages_per_row]).second) return false;
  }
  return true;
}

}  // namespace

Status KeptStepRows::Keep(const StepRows& rows, std::uint32_t page_limit) {
  tokens_.clear();
  const std::size_t count = rows.count();
  FALLOW_CHECK(rows.positions.size() == count && rows.pages.size() == count * rows.pages_per_row);
  FALLOW_CHECK(rows.last_seen.empty() || rows.last_seen.size() == count);
  FALLOW_CHECK(rows.rotary_places.empty() || rows.rotary_places.size() == count);
  const auto last_seen = rows.last_seen.empty() ? rows.positions : rows.last_seen;
  const auto rotary_places = rows.rotary_places.empty() ? rows.positions : rows.rotary_places;
  std::uint32_t max_page = 0;
  for (std::uint32_t r = 0; r < count; ++r) {
    FALLOW_CHECK(last_seen[r] >= rows.positions[r]);
    const std::uint32_t last = last_seen[r] / kPagePositions;
    if (last >= rows.pages_per_row) return BeyondPages(r, last_seen[r]);
    for (std::uint32_t i = 0; i <= last; ++i) {
      const std::uint32_t page = rows.pages[std::size_t{r} * rows.pages_per_row + i];
      if (page >= page_limit) return BeyondPages(r, last_seen[r]);
      max_page = std::max(max_page, page);
    }
  }
  tokens_.assign(rows.tokens.begin(), rows.tokens.end());
  positions_.assign(rows.positions.begin(), rows.positions.end());
  pages_.assign(rows.pages.begin(), rows.pages.end());
  last_seen_.assign(last_seen.begin(), last_seen.end());
  rotary_places_.assign(rotary_places.begin(), rotary_places.end());
  pages_per_row_ = rows.pages_per_row;
  max_page_ = max_page;
  rows_are_strangers_ = AreStrangers(rows);
  return {};
}

}  // namespace fallow::engine
