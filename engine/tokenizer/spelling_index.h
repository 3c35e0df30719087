// A SpellingIndex finds tokens by their exact spelling.
//
// Invariant: finding takes logarithmic time whatever spellings a file makes up, all of one hash
// included; for honest ones it is a look at one or two entries.
// Threading: immutable after Freeze.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fallow::engine {

class SpellingIndex {
 public:
  struct Prefix {
    std::uint32_t token = 0;
    std::size_t length = 0;  // bytes of the text that it spells
  };

  // Copies `spelling`, which is not empty. All together below 4 GiB.
  void Add(std::string_view spelling, std::uint32_t token);
  // After the last Add, before the first Find. Two tokens of one spelling are returned, the lower
  // first; the index is then of no use.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> Freeze();

  std::optional<std::uint32_t> Find(std::string_view spelling) const;
  // The longest token that `text` begins with. Time linear in the longest spelling.
  std::optional<Prefix> FindLongestPrefix(std::string_view text) const;
  std::size_t longest_bytes() const { return longest_bytes_; }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t offset = 0;  // in text_
    std::uint32_t length = 0;
    std::uint32_t token = 0;
  };
  std::string_view SpellingOf(const Entry& entry) const {
    return std::string_view(text_).substr(entry.offset, entry.length);
  }
  bool Before(const Entry& entry, std::uint64_t hash, std::string_view spelling) const;
  void SortIntoBuckets();
  const Entry* FindHashed(std::uint64_t hash, std::string_view spelling) const;

  std::string text_;
  std::vector<Entry> entries_;          // by hash, then spelling, once frozen
  std::vector<std::uint32_t> buckets_;  // where the entries of a hash's top bits begin; one more
  std::uint32_t bucket_shift_ = 63;
  std::size_t longest_bytes_ = 0;
};

}  // namespace fallow::engine
