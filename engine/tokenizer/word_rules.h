// The rules by which byte-level vocabularies cut text into words, by the names that
// `tokenizer.ggml.pre` gives them. One short description each, as data.
//
// The patterns are those that the vocabularies' makers published, as the models learnt by them.
// llama.cpp narrows some to what its regular expressions can do: letters outside ASCII have no case
// in gpt-4o, tekken and kimi-k2, U+3000 and U+2028 are missing from classes of deepseek-llm and
// deepseek-coder, "~" is no sign in deepseek-v3. There words are cut otherwise here than there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fallow::engine {

// One pass over the pieces that the passes before have made: what matches becomes a piece, and so
// does what lies between two matches.
struct WordPass {
  enum class Cut : std::uint8_t {
    kWhole,
    kThreesFromTheEnd,  // a match is cut again, into threes of characters counted from its end
  };
  // For PCRE2 with UTF and UCP, but that \s and \S go by Unicode's White_Space, as in the
  // libraries that the vocabularies were made with (PCRE2's own \s also takes U+180E). Nothing
  // matches the empty text, and what cannot be given back is possessive, so that a pass takes
  // linear time on any text.
  std::string_view pattern;
  Cut cut = Cut::kWhole;
};

struct WordRule {
  std::span<const std::string_view> names;
  std::span<const WordPass> passes;
  bool whole_words = false;  // a word that is a token is not merged from its pieces
  bool add_bos = false;      // where the file does not say
};

// Null where no rule has the name.
const WordRule* FindWordRule(std::string_view name);
// All names, for messages: "afmoe, bailingmoe, …".
std::string KnownWordRules();

}  // namespace fallow::engine
