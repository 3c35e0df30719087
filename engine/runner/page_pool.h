// A PagePool lends the caches' pages to sequences.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend.h"

namespace fallow::engine {

// Pages that hold so many positions.
inline constexpr std::uint32_t PagesFor(std::uint32_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

class PagePool {
 public:
  explicit PagePool(std::uint32_t page_count) {
    for (std::uint32_t page = page_count; page > 0; --page) free_.push_back(page - 1);
  }

  std::uint32_t free_count() const { return static_cast<std::uint32_t>(free_.size()); }
  // At most free_count().
  std::vector<std::uint32_t> Take(std::uint32_t count) {
    std::vector<std::uint32_t> pages(free_.end() - count, free_.end());
    free_.resize(free_.size() - count);
    return pages;
  }
  void Return(const std::vector<std::uint32_t>& pages) {
    free_.insert(free_.end(), pages.begin(), pages.end());
  }

 private:
  std::vector<std::uint32_t> free_;
};

}  // namespace fallow::engine
