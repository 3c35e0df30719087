// SpecialTokens finds in a prompt the tokens that stand for themselves, before the text between
// them is encoded.
//
// Threading: immutable after Freeze.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/token_matcher.h"

namespace fallow::engine {

// Bytes of a text: [begin, end).
struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// A special token, or a run of ordinary text between two of them; runs are not empty.
struct TextFragment {
  std::string_view text;
  std::optional<std::uint32_t> token;
};

class SpecialTokens {
 public:
  // Where a token counts.
  enum class Scope : std::uint8_t {
    kAnyText,      // user-defined tokens
    kTrustedRuns,  // control tokens: only what the template wrote may hold them
  };
  // What a token takes with it of the ASCII white space around it.
  struct Strip {
    bool left = false;
    bool right = false;
  };

  void Add(std::string_view spelling, std::uint32_t token, Scope scope);
  void SetStrip(std::uint32_t token, Strip strip);
  Status Freeze();

  // Cuts `text` at its special tokens, from left to right, the longest one at each place. A token
  // of kTrustedRuns counts where it lies wholly in one of `trusted`, which are in order and apart.
  std::vector<TextFragment> Split(std::string_view text, std::span<const TextRange> trusted) const;

 private:
  Strip StripOf(std::uint32_t token) const;
  std::vector<TokenMatcher::Match> FindMatches(std::string_view text,
                                               std::span<const TextRange> trusted) const;

  TokenMatcher anywhere_;
  TokenMatcher trusted_only_;
  struct Stripped {
    std::uint32_t token = 0;
    Strip strip;
  };
  std::vector<Stripped> strips_;  // by token once frozen
};

}  // namespace fallow::engine
