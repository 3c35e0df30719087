#include "engine/tokenizer/spelling_index.h"

#include <algorithm>
#include <bit>

namespace fallow::engine {
namespace {

// FNV-1a, so that the hashes of all prefixes come from one pass; its top bits are weak, hence the
// last stirring.
constexpr std::uint64_t kEmptyHash = 0xCBF29CE484222325;

constexpr std::uint64_t Extend(std::uint64_t hash, char byte) {
  return (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001B3;
}

constexpr std::uint64_t Stir(std::uint64_t hash) {
  hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93;
  return hash ^ (hash >> 32);
}

std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = kEmptyHash;
  for (const char byte : text) hash = Extend(hash, byte);
  return Stir(hash);
}

}  // namespace

void SpellingIndex::Add(std::string_view spelling, std::uint32_t token) {
  entries_.push_back({HashOf(spelling), static_cast<std::uint32_t>(text_.size()),
                      static_cast<std::uint32_t>(spelling.size()), token});
  text_ += spelling;
  longest_bytes_ = std::max(longest_bytes_, spelling.size());
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> SpellingIndex::Freeze() {
  SortIntoBuckets();
  const auto repeated = std::ranges::adjacent_find(entries_, [&](const Entry& a, const Entry& b) {
    return a.hash == b.hash && SpellingOf(a) == SpellingOf(b);
  });
  if (repeated != entries_.end()) return std::pair(repeated->token, (repeated + 1)->token);
  return std::nullopt;
}

// A hash's top bits say where an entry goes, so that little is left to be sorted: a load waits for
// this.
void SpellingIndex::SortIntoBuckets() {
  const auto bits = static_cast<std::uint32_t>(std::bit_width(entries_.size() | 1));
  bucket_shift_ = 64 - bits;
  buckets_.assign((std::size_t{1} << bits) + 1, 0);
  for (const Entry& entry : entries_) ++buckets_[(entry.hash >> bucket_shift_) + 1];
  for (std::size_t i = 1; i < buckets_.size(); ++i) buckets_[i] += buckets_[i - 1];
  std::vector<std::uint32_t> places = buckets_;
  std::vector<Entry> sorted(entries_.size());
  for (const Entry& entry : entries_) sorted[places[entry.hash >> bucket_shift_]++] = entry;
  entries_ = std::move(sorted);
  const auto before = [&](const Entry& a, const Entry& b) {
    if (a.hash != b.hash) return a.hash < b.hash;
    const int order = SpellingOf(a).compare(SpellingOf(b));
    return order != 0 ? order < 0 : a.token < b.token;
  };
  for (std::size_t i = 1; i < buckets_.size(); ++i)
    std::sort(entries_.begin() + buckets_[i - 1], entries_.begin() + buckets_[i], before);
}

bool SpellingIndex::Before(const Entry& entry, std::uint64_t hash,
                           std::string_view spelling) const {
  return entry.hash != hash ? entry.hash < hash : SpellingOf(entry) < spelling;
}

const SpellingIndex::Entry* SpellingIndex::FindHashed(std::uint64_t hash,
                                                      std::string_view spelling) const {
  if (entries_.empty()) return nullptr;
  const std::size_t bucket = hash >> bucket_shift_;
  const auto begin = entries_.begin() + buckets_[bucket];
  const auto end = entries_.begin() + buckets_[bucket + 1];
  const auto found = std::partition_point(
      begin, end, [&](const Entry& entry) { return Before(entry, hash, spelling); });
  if (found == end || found->hash != hash || SpellingOf(*found) != spelling) return nullptr;
  return &*found;
}

std::optional<std::uint32_t> SpellingIndex::Find(std::string_view spelling) const {
  if (spelling.size() > longest_bytes_) return std::nullopt;
  const Entry* entry = FindHashed(HashOf(spelling), spelling);
  if (entry == nullptr) return std::nullopt;
  return entry->token;
}

std::optional<SpellingIndex::Prefix> SpellingIndex::FindLongestPrefix(std::string_view text) const {
  std::optional<Prefix> longest;
  std::uint64_t hash = kEmptyHash;
  const std::size_t end = std::min(text.size(), longest_bytes_);
  for (std::size_t i = 0; i < end; ++i) {
    hash = Extend(hash, text[i]);
    const Entry* entry = FindHashed(Stir(hash), text.substr(0, i + 1));
    if (entry != nullptr) longest = Prefix{entry->token, i + 1};
  }
  return longest;
}

}  // namespace fallow::engine
