// A MergeTable joins the pieces of a word pair by pair, the earliest learnt pair first.
//
// Invariant: finding a pair takes logarithmic time, whatever pairs a file holds.
// Threading: immutable after Freeze.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fallow::engine {

class MergeTable {
 public:
  // Pairs are added in order of rank. Of a pair added twice the first counts.
  void Add(std::uint32_t left, std::uint32_t right, std::uint32_t merged);
  // After the last Add, before the first Merge.
  void Freeze();

  // Merges `pieces` until no pair is in the table and appends the result to `tokens`. Time n log n
  // in the word's length.
  void Merge(std::span<const std::uint32_t> pieces, std::vector<std::uint32_t>& tokens) const;

 private:
  struct Rule {
    std::uint64_t pair = 0;  // left << 32 | right
    std::uint32_t rank = 0;
    std::uint32_t merged = 0;
  };
  void SortByPair();
  const Rule* Find(std::uint32_t left, std::uint32_t right) const;
  void MergeShort(std::vector<std::uint32_t>& pieces) const;
  void MergeLong(std::vector<std::uint32_t>& pieces) const;

  std::vector<Rule> rules_;                 // by pair once frozen
  std::vector<std::uint32_t> left_begins_;  // where the rules of a left piece begin; one more
};

}  // namespace fallow::engine
