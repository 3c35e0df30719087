// StepPlaces is what kernels are told of a step's rows: words for the device, and the extremes that
// decide how much there is to do.
//
// A value: filled by Read, then only asked. Threading: none of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/backend.h"

namespace fallow::engine {

// The most that a row sees of its sequence.
struct MostSeen {
  std::uint32_t chunks = 0;  // of 256 positions
  std::uint64_t positions = 0;
};

class StepPlaces {
 public:
  // kInvalidArgument, naming the row, where it lies or looks beyond its pages or `page_count`.
  Status Read(const StepRows& rows, std::uint32_t page_count);
  void Clear() { *this = {}; }

  std::uint32_t row_count() const { return row_count_; }
  std::uint32_t pages_per_row() const { return pages_per_row_; }
  std::uint32_t max_token() const { return max_token_; }
  std::uint32_t max_position() const { return max_position_; }
  std::uint32_t max_rotary_place() const { return max_rotary_place_; }
  std::uint32_t max_page() const { return max_page_; }
  // `window` as in AttentionShape.
  MostSeen Seen(std::uint32_t window) const;

  // What the step's buffer must hold, and where in it.
  std::span<const std::uint32_t> words() const { return words_; }
  std::uint32_t tokens_offset() const { return 0; }
  std::uint32_t positions_offset() const { return row_count_; }
  std::uint32_t pages_offset() const { return row_count_ * 2; }
  std::uint32_t last_seen_offset() const { return last_seen_offset_; }
  std::uint32_t rotary_places_offset() const { return rotary_places_offset_; }
  // Adds words, and says where they begin.
  std::uint32_t Append(std::span<const std::uint32_t> words);

  // Words that a step of so many rows has at most, with one list of rows to gather.
  static std::uint64_t MostWords(std::uint32_t rows, std::uint32_t pages_per_row) {
    return std::uint64_t{rows} * (5 + std::uint64_t{pages_per_row});
  }

 private:
  Status ReadRow(const StepRows& rows, std::uint32_t row, std::uint32_t page_count);

  std::vector<std::uint32_t> words_;
  std::uint32_t row_count_ = 0;
  std::uint32_t pages_per_row_ = 0;
  std::uint32_t max_token_ = 0;
  std::uint32_t max_position_ = 0;
  std::uint32_t max_rotary_place_ = 0;
  std::uint32_t max_page_ = 0;
  std::uint32_t last_seen_offset_ = 0;
  std::uint32_t rotary_places_offset_ = 0;
};

}  // namespace fallow::engine
