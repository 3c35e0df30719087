#include "engine/vulkan/step_places.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/vulkan/vulkan_storage.h"

namespace fallow::engine {
namespace {

// Rows are a grid's y axis, of which every device has 65,535.
constexpr std::uint32_t kMaxStepRows = 65535;
// The join's loop is over the chunks of a row; their number is a grid's z axis too.
constexpr std::uint32_t kMaxChunks = kMaxLoopIterations;

}  // namespace

Status StepPlaces::Read(const StepRows& rows, std::uint32_t page_count) {
  Clear();
  const std::uint32_t count = rows.count();
  FALLOW_CHECK(rows.positions.size() == count &&
               rows.pages.size() == std::size_t{count} * rows.pages_per_row);
  FALLOW_CHECK(rows.last_seen.empty() || rows.last_seen.size() == count);
  FALLOW_CHECK(rows.rotary_places.empty() || rows.rotary_places.size() == count);
  if (count > kMaxStepRows)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a step of {} rows, the limit is {}", count, kMaxStepRows));
  if (rows.pages_per_row > kMaxChunks)
    return Fail(ErrorCode::kInvalidArgument, fmt::format("sequences of {} pages, the limit is {}",
                                                         rows.pages_per_row, kMaxChunks));
  for (std::uint32_t r = 0; r < count; ++r) FALLOW_RETURN_IF_ERROR(ReadRow(rows, r, page_count));
  row_count_ = count;
  pages_per_row_ = rows.pages_per_row;
  words_.assign(rows.tokens.begin(), rows.tokens.end());
  Append(rows.positions);
  Append(rows.pages);
  last_seen_offset_ = rows.last_seen.empty() ? positions_offset() : Append(rows.last_seen);
  rotary_places_offset_ =
      rows.rotary_places.empty() ? positions_offset() : Append(rows.rotary_places);
  return {};
}

Status StepPlaces::ReadRow(const StepRows& rows, std::uint32_t row, std::uint32_t page_count) {
  const std::uint32_t position = rows.positions[row];
  const std::uint32_t last_seen = rows.last_seen.empty() ? position : rows.last_seen[row];
  const std::uint32_t last_page = std::max(position, last_seen) / kPagePositions;
  const auto pages = rows.pages.subspan(std::size_t{row} * rows.pages_per_row, rows.pages_per_row);
  if (last_page >= rows.pages_per_row ||
      std::ranges::any_of(pages.first(last_page + 1),
                          [&](std::uint32_t page) { return page >= page_count; }))
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("row {}: position {} is beyond its pages or the caches", row,
                            std::max(position, last_seen)));
  if (last_seen < position)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("row {}: the last position it sees, {}, is before its own, {}", row,
                            last_seen, position));
  max_token_ = std::max(max_token_, rows.tokens[row]);
  max_position_ = std::max(max_position_, position);
  max_rotary_place_ =
      std::max(max_rotary_place_, rows.rotary_places.empty() ? position : rows.rotary_places[row]);
  max_page_ = std::max(max_page_, *std::ranges::max_element(pages.first(last_page + 1)));
  return {};
}

MostSeen StepPlaces::Seen(std::uint32_t window) const {
  MostSeen seen;
  for (std::uint32_t r = 0; r < row_count_; ++r) {
    const std::uint32_t position = words_[positions_offset() + r];
    const std::uint32_t first = window != 0 && position >= window ? position - window + 1 : 0;
    const std::uint32_t last = words_[last_seen_offset_ + r];
    seen.chunks = std::max(seen.chunks, last / kPagePositions - first / kPagePositions + 1);
    seen.positions = std::max(seen.positions, std::uint64_t{last} - first + 1);
  }
  return seen;
}

std::uint32_t StepPlaces::Append(std::span<const std::uint32_t> words) {
  const auto offset = static_cast<std::uint32_t>(words_.size());
  words_.insert(words_.end(), words.begin(), words.end());
  return offset;
}

}  // namespace fallow::engine
