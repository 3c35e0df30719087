#include "engine/tokenizer/token_matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace fallow::engine {

void TokenMatcher::Add(std::string_view spelling, std::uint32_t token) {
  spellings_.push_back({std::string(spelling.rbegin(), spelling.rend()), token});
}

Status TokenMatcher::Freeze() {
  std::size_t bytes = 0;
  for (const Spelling& spelling : spellings_) bytes += spelling.reversed.size();
  if (bytes > kMaxMatchedSpellingBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("tokenizer.ggml.token_type: the special tokens have {} bytes; at most "
                            "{} are allowed",
                            bytes, kMaxMatchedSpellingBytes));
  }
  BuildTrie();
  LinkFallbacks();
  return {};
}

// In sorted order a spelling shares its beginning with the one before, so that the trie grows by
// what is new.
void TokenMatcher::BuildTrie() {
  std::ranges::sort(spellings_, {}, &Spelling::reversed);
  nodes_.assign(1, Node{});
  std::vector<std::uint32_t> path = {kRoot};  // the nodes of the spelling before
  std::string_view before;
  for (std::uint32_t i = 0; i < spellings_.size(); ++i) {
    const std::string_view spelling = spellings_[i].reversed;
    const auto shared =
        static_cast<std::size_t>(std::ranges::mismatch(before, spelling).in2 - spelling.begin());
    path.resize(shared + 1);
    for (std::size_t at = shared; at < spelling.size(); ++at) {
      const auto node = static_cast<std::uint32_t>(nodes_.size());
      const auto byte = static_cast<std::uint8_t>(spelling[at]);
      edges_.push_back({std::uint64_t{path.back()} << 8 | byte, node});
      nodes_.push_back({kRoot, 0, static_cast<std::uint32_t>(at + 1)});
      path.push_back(node);
    }
    nodes_[path.back()].longest = i + 1;
    before = spelling;
  }
  std::ranges::sort(edges_, {}, &Edge::key);
  for (const Edge& edge : edges_) {
    if (edge.key < 256) root_children_[edge.key] = edge.target;
  }
}

// From shallow to deep, since a fallback is always shallower than its node.
void TokenMatcher::LinkFallbacks() {
  std::vector<std::uint32_t> order(edges_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, {},
                           [&](std::uint32_t edge) { return nodes_[edges_[edge].target].depth; });
  for (const std::uint32_t place : order) {
    const Edge& edge = edges_[place];
    const auto parent = static_cast<std::uint32_t>(edge.key >> 8);
    Node& node = nodes_[edge.target];
    if (parent != kRoot)
      node.fallback = Step(nodes_[parent].fallback, static_cast<std::uint8_t>(edge.key));
    if (node.longest == 0) node.longest = nodes_[node.fallback].longest;
  }
}

std::uint32_t TokenMatcher::Child(std::uint32_t node, std::uint8_t byte) const {
  if (node == kRoot) return root_children_[byte];
  const std::uint64_t key = std::uint64_t{node} << 8 | byte;
  const auto found = std::ranges::lower_bound(edges_, key, {}, &Edge::key);
  return found == edges_.end() || found->key != key ? kRoot : found->target;
}

std::uint32_t TokenMatcher::Step(std::uint32_t node, std::uint8_t byte) const {
  for (;;) {
    const std::uint32_t child = Child(node, byte);
    if (child != kRoot || node == kRoot) return child;
    node = nodes_[node].fallback;
  }
}

std::vector<TokenMatcher::Match> TokenMatcher::Find(std::string_view text) const {
  std::vector<Match> matches;
  if (spellings_.empty()) return matches;
  std::uint32_t node = kRoot;
  for (std::size_t at = text.size(); at-- > 0;) {
    node = Step(node, static_cast<std::uint8_t>(text[at]));
    const std::uint32_t longest = nodes_[node].longest;
    if (longest == 0) continue;
    const Spelling& spelling = spellings_[longest - 1];
    matches.push_back({at, spelling.reversed.size(), spelling.token});
  }
  std::ranges::reverse(matches);
  return matches;
}

}  // namespace fallow::engine
