// A Vocabulary is what every kind of tokenizer reads from the tokenizer.ggml keys of a GGUF file:
// the tokens, what each is, and which of them begin and end texts. Checked whole.
//
// It is an intermediate of loading: its views lie inside the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"
#include "engine/step_control.h"

namespace fallow::engine {

// Tokens beyond this are in no vocabulary we know; it bounds what a file can make us hold.
inline constexpr std::size_t kMaxVocabularyTokens = 1 << 20;
// The longest known spellings are white space of 512 characters in two-byte stand-ins.
inline constexpr std::size_t kMaxTokenSpellingBytes = 4 << 10;
// Of a vocabulary or its merges, between two looks at whether a load is stopped: a millisecond or
// two.
inline constexpr std::size_t kEntriesBetweenLooks = 4 << 10;

// The values of tokenizer.ggml.token_type.
enum class TokenKind : std::uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUser = 4,
  kUnused = 5,
  kByte = 6,
};

// What the kind of tokenizer means where the file says nothing.
struct VocabularyDefaults {
  bool add_bos = false;
  bool add_eos = false;
  std::optional<std::uint32_t> bos, eos, unknown, separator;
};

struct Vocabulary {
  std::vector<std::string_view> spellings;  // unique but for the empty ones, which are kUnused
  std::vector<TokenKind> kinds;
  bool kinds_known = false;  // the file has tokenizer.ggml.token_type

  std::optional<std::uint32_t> bos, eos, unknown, separator;
  bool add_bos = false;                   // then bos is set
  bool add_eos = false;                   // then eos is set
  std::vector<std::uint32_t> end_tokens;  // generation ends at these; in order

  std::uint32_t size() const { return static_cast<std::uint32_t>(spellings.size()); }
  // Control and unknown tokens never come of a message's text.
  bool IsControl(std::uint32_t token) const {
    return kinds[token] == TokenKind::kControl || kinds[token] == TokenKind::kUnknown;
  }
  // Nor do the other tokens that a template frames messages with: many files call them
  // user-defined, as ordinary words of their makers.
  bool IsTemplatesOwn(std::uint32_t token) const;
};

// Errors name the key, and the entry.
Result<Vocabulary> ReadVocabulary(const GgufFile& file, const VocabularyDefaults& defaults,
                                  const StepControl& control);

// tokenizer.ggml.scores: one finite number a token. Errors name the entry.
Result<std::vector<float>> ReadScores(const GgufFile& file, std::uint32_t token_count);

}  // namespace fallow::engine
