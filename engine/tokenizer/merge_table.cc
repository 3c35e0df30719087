#include "engine/tokenizer/merge_table.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace fallow::engine {
namespace {

// Words up to this many pieces are scanned whole for each merge, which is quicker than keeping a
// queue.
constexpr std::size_t kShortWordPieces = 32;
constexpr std::uint32_t kNone = 0xFFFFFFFF;

std::uint64_t Key(std::uint32_t left, std::uint32_t right) {
  return std::uint64_t{left} << 32 | right;
}

// A pair that stood at `left` when it was found. Stale when either piece has changed since.
struct Candidate {
  std::uint32_t rank = 0;
  std::uint32_t left = 0;
  std::uint64_t key = 0;
  std::uint32_t merged = 0;

  bool operator>(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

struct Piece {
  std::uint32_t token = 0;
  std::uint32_t previous = kNone;
  std::uint32_t next = kNone;
};

}  // namespace

void MergeTable::Add(std::uint32_t left, std::uint32_t right, std::uint32_t merged) {
  rules_.push_back({Key(left, right), static_cast<std::uint32_t>(rules_.size()), merged});
}

void MergeTable::Freeze() {
  std::ranges::sort(rules_, {}, [](const Rule& rule) { return std::pair(rule.pair, rule.rank); });
  const auto repeated = std::ranges::unique(rules_, {}, &Rule::pair);
  rules_.erase(repeated.begin(), repeated.end());
  const std::size_t lefts = rules_.empty() ? 0 : (rules_.back().pair >> 32) + 1;
  left_begins_.assign(lefts + 1, 0);
  for (const Rule& rule : rules_) ++left_begins_[(rule.pair >> 32) + 1];
  for (std::size_t i = 1; i <= lefts; ++i) left_begins_[i] += left_begins_[i - 1];
}

const MergeTable::Rule* MergeTable::Find(std::uint32_t left, std::uint32_t right) const {
  if (left + std::size_t{1} >= left_begins_.size()) return nullptr;
  const auto begin = rules_.begin() + left_begins_[left];
  const auto end = rules_.begin() + left_begins_[left + 1];
  const std::uint64_t pair = Key(left, right);
  const auto found = std::lower_bound(
      begin, end, pair, [](const Rule& rule, std::uint64_t wanted) { return rule.pair < wanted; });
  return found == end || found->pair != pair ? nullptr : &*found;
}

void MergeTable::Merge(std::span<const std::uint32_t> pieces,
                       std::vector<std::uint32_t>& tokens) const {
  std::vector<std::uint32_t> word(pieces.begin(), pieces.end());
  if (word.size() <= kShortWordPieces) {
    MergeShort(word);
  } else {
    MergeLong(word);
  }
  tokens.insert(tokens.end(), word.begin(), word.end());
}

void MergeTable::MergeShort(std::vector<std::uint32_t>& pieces) const {
  for (;;) {
    const Rule* best = nullptr;
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
      const Rule* rule = Find(pieces[i], pieces[i + 1]);
      if (rule == nullptr || (best != nullptr && rule->rank >= best->rank)) continue;
      best = rule;
      place = i;
    }
    if (best == nullptr) return;
    pieces[place] = best->merged;
    pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

void MergeTable::MergeLong(std::vector<std::uint32_t>& pieces) const {
  const auto count = static_cast<std::uint32_t>(pieces.size());
  std::vector<Piece> chain(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::uint32_t left) {
    const std::uint32_t right = chain[left].next;
    if (right == kNone) return;
    const Rule* rule = Find(chain[left].token, chain[right].token);
    if (rule != nullptr) {
      queue.push({rule->rank, left, Key(chain[left].token, chain[right].token), rule->merged});
    }
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    chain[i] = {pieces[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }
  for (std::uint32_t i = 0; i < count; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Piece& left = chain[candidate.left];
    if (left.token == kNone || left.next == kNone) continue;
    const std::uint32_t right = left.next;
    if (Key(left.token, chain[right].token) != candidate.key) continue;
    left.token = candidate.merged;
    left.next = chain[right].next;
    if (left.next != kNone) chain[left.next].previous = candidate.left;
    chain[right].token = kNone;
    if (left.previous != kNone) offer(left.previous);
    offer(candidate.left);
  }
  pieces.clear();
  for (std::uint32_t i = 0; i != kNone; i = chain[i].next) pieces.push_back(chain[i].token);
}

}  // namespace fallow::engine
