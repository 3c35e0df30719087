#include "engine/tokenizer/merge_table.h"

#include <algorithm>
#include <functional>
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
  SortByPair();
  const auto repeated = std::ranges::unique(rules_, {}, &Rule::pair);
  rules_.erase(repeated.begin(), repeated.end());
  const std::size_t lefts = rules_.empty() ? 0 : (rules_.back().pair >> 32) + 1;
  left_begins_.assign(lefts + 1, 0);
  for (const Rule& rule : rules_) ++left_begins_[(rule.pair >> 32) + 1];
  for (std::size_t i = 1; i <= lefts; ++i) left_begins_[i] += left_begins_[i - 1];
}

// First by the left piece, which counting does, so that little is left to be sorted: a load waits
// for this.
void MergeTable::SortByPair() {
  std::uint64_t last_left = 0;
  for (const Rule& rule : rules_) last_left = std::max(last_left, rule.pair >> 32);
  std::vector<std::uint32_t> begins(last_left + 2);
  for (const Rule& rule : rules_) ++begins[(rule.pair >> 32) + 1];
  for (std::size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
  std::vector<std::uint32_t> places = begins;
  std::vector<Rule> sorted(rules_.size());
  for (const Rule& rule : rules_) sorted[places[rule.pair >> 32]++] = rule;
  rules_ = std::move(sorted);
  const auto before = [](const Rule& a, const Rule& b) {
    return std::pair(a.pair, a.rank) < std::pair(b.pair, b.rank);
  };
  for (std::size_t i = 1; i < begins.size(); ++i)
    std::sort(rules_.begin() + begins[i - 1], rules_.begin() + begins[i], before);
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

// Candidates are kept as rank << 32 | place of the left piece: the best one is the smallest. One is
// stale when the pair at its place has another rank by now, or none.
void MergeTable::MergeLong(std::vector<std::uint32_t>& pieces) const {
  const auto count = static_cast<std::uint32_t>(pieces.size());
  std::vector<Piece> chain(count);
  for (std::uint32_t i = 0; i < count; ++i)
    chain[i] = {pieces[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  const auto rule_at = [&](std::uint32_t left) -> const Rule* {
    if (chain[left].token == kNone || chain[left].next == kNone) return nullptr;
    return Find(chain[left].token, chain[chain[left].next].token);
  };
  std::vector<std::uint64_t> candidates;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (const Rule* rule = rule_at(i); rule != nullptr) candidates.push_back(Key(rule->rank, i));
  }
  std::priority_queue queue(std::greater<>(), std::move(candidates));
  const auto offer = [&](std::uint32_t left) {
    if (const Rule* rule = rule_at(left); rule != nullptr) queue.push(Key(rule->rank, left));
  };
  while (!queue.empty()) {
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32);
    const auto place = static_cast<std::uint32_t>(queue.top());
    queue.pop();
    const Rule* rule = rule_at(place);
    if (rule == nullptr || rule->rank != rank) continue;
    Piece& left = chain[place];
    Piece& right = chain[left.next];
    left.token = rule->merged;
    left.next = right.next;
    right.token = kNone;
    if (left.next != kNone) chain[left.next].previous = place;
    if (left.previous != kNone) offer(left.previous);
    offer(place);
  }
  pieces.clear();
  for (std::uint32_t i = 0; i != kNone; i = chain[i].next) pieces.push_back(chain[i].token);
}

}  // namespace fallow::engine
