// A MergeTable joins the pieces of a word pair by pair, the earliest learnt pair first.
//
// Threading: immutable after the last Add.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace fallow::engine {

class MergeTable {
 public:
  // Pairs are added in order of rank. Of a pair added twice the first counts.
  void Add(std::uint32_t left, std::uint32_t right, std::uint32_t merged);

  // Merges `pieces` until no pair is in the table and appends the result to `tokens`. Time n log n
  // in the word's length.
  void Merge(std::span<const std::uint32_t> pieces, std::vector<std::uint32_t>& tokens) const;

 private:
  struct Rule {
    std::uint32_t rank = 0;
    std::uint32_t merged = 0;
  };
  const Rule* Find(std::uint32_t left, std::uint32_t right) const;
  void MergeShort(std::vector<std::uint32_t>& pieces) const;
  void MergeLong(std::vector<std::uint32_t>& pieces) const;

  std::unordered_map<std::uint64_t, Rule> rules_;  // by left << 32 | right
};

}  // namespace fallow::engine
