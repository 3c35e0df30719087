// Where the rows of a step stand: StepRows, checked and kept for as long as the step runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"

namespace fallow::engine {

class KeptStepRows {
 public:
  // kInvalidArgument, naming the row, when one sees a page at or beyond `page_limit`; then no
  // row is kept. What was kept before is lost in any case.
  Status Keep(const StepRows& rows, std::uint32_t page_limit);

  std::uint32_t count() const { return static_cast<std::uint32_t>(tokens_.size()); }
  const std::vector<std::uint32_t>& tokens() const { return tokens_; }
  const std::vector<std::uint32_t>& positions() const { return positions_; }
  const std::vector<std::uint32_t>& rotary_places() const { return rotary_places_; }
  const std::uint32_t* PagesOf(std::uint32_t row) const {
    return pages_.data() + std::size_t{row} * pages_per_row_;
  }
  // The positions that the row sees: from the first to the last, both included.
  std::uint32_t FirstSeen(std::uint32_t row, std::uint32_t window) const {
    const std::uint32_t position = positions_[row];
    return window == 0 || position < window ? 0 : position - window + 1;
  }
  std::uint32_t LastSeen(std::uint32_t row) const { return last_seen_[row]; }
  // The largest page that any row sees.
  std::uint32_t max_page() const { return max_page_; }
  // Whether no row sees what another row of the step stores.
  bool rows_are_strangers() const { return rows_are_strangers_; }

 private:
  std::vector<std::uint32_t> tokens_, positions_, pages_, last_seen_, rotary_places_;
  std::uint32_t pages_per_row_ = 0;
  std::uint32_t max_page_ = 0;
  bool rows_are_strangers_ = false;
};

}  // namespace fallow::engine
