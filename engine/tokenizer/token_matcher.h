// A TokenMatcher finds the places where any of a set of tokens is spelt out in a text.
//
// Time is linear in the text, whatever the tokens: it is an Aho-Corasick automaton over the
// spellings read backwards, which knows at every place of a text read backwards the longest
// spelling that begins there.
// Threading: immutable after Freeze.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::engine {

// Bytes of all spellings of one matcher; a node of the automaton is 28 bytes. Large vocabularies
// have some 100 KiB of special tokens.
inline constexpr std::size_t kMaxMatchedSpellingBytes = 4 << 20;

class TokenMatcher {
 public:
  struct Match {
    std::size_t begin = 0;  // bytes into the text
    std::size_t length = 0;
    std::uint32_t token = 0;
  };

  // `spelling` is not empty and not added before.
  void Add(std::string_view spelling, std::uint32_t token);
  // After the last Add, before the first Find. kInvalidArgument above kMaxMatchedSpellingBytes.
  Status Freeze();

  // Of every place where a token is spelt, the longest one, in order. They may overlap.
  std::vector<Match> Find(std::string_view text) const;

 private:
  static constexpr std::uint32_t kRoot = 0;

  struct Spelling {
    std::string reversed;
    std::uint32_t token = 0;
  };
  struct Node {
    std::uint32_t fallback = kRoot;  // the longest proper suffix of this node that is a node
    std::uint32_t longest = 0;       // the longest spelling that ends here: index + 1, 0 for none
    std::uint32_t depth = 0;
  };
  struct Edge {
    std::uint64_t key = 0;  // node << 8 | byte
    std::uint32_t target = 0;
  };

  void BuildTrie();
  void LinkFallbacks();
  std::uint32_t Child(std::uint32_t node, std::uint8_t byte) const;  // kRoot where there is none
  std::uint32_t Step(std::uint32_t node, std::uint8_t byte) const;

  std::vector<Spelling> spellings_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // by key
  std::array<std::uint32_t, 256> root_children_{};
};

}  // namespace fallow::engine
