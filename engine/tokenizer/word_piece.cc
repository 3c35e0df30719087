#include "engine/tokenizer/word_piece.h"

#include <algorithm>

#include "engine/tokenizer/bert_normalizer.h"
#include "engine/tokenizer/space_mark.h"
#include "engine/tokenizer/spelling_index.h"

namespace fallow::engine {
namespace {

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<std::uint8_t>(byte) & 0xC0) != 0x80; }));
}

struct WordPiece final : RunEncoder {
  void Encode(std::string_view run, std::vector<std::uint32_t>& tokens) const override {
    VisitBertWords(run, normalization, [&](std::string_view word) { EncodeWord(word, tokens); });
  }

  void EncodeWord(std::string_view word, std::vector<std::uint32_t>& tokens) const {
    if (CountCharacters(word) > kMaxWordCharacters) return tokens.push_back(unknown);
    const std::size_t count_before = tokens.size();
    const std::string marked = std::string(kSpaceMark).append(word);
    std::string_view left = marked;
    while (!left.empty()) {
      const auto piece = index.FindLongestPrefix(left);
      if (!piece.has_value()) {
        tokens.resize(count_before);
        return tokens.push_back(unknown);
      }
      tokens.push_back(piece->token);
      left.remove_prefix(piece->length);
    }
  }

  std::string Decode(std::uint32_t, std::string_view spelling, TokenKind) const override {
    return WithSpaces(spelling);
  }

  bool puts_space_in_front() const override { return true; }

  SpellingIndex index;
  BertNormalization normalization;
  std::uint32_t unknown = 0;
};

}  // namespace

Result<std::unique_ptr<RunEncoder>> NewWordPiece(const GgufFile& file, const Vocabulary& vocabulary,
                                                 const StepControl& control) {
  auto encoder = std::make_unique<WordPiece>();
  if (!vocabulary.unknown.has_value()) {
    return Fail(ErrorCode::kInvalidArgument,
                "tokenizer.ggml.unknown_token_id is missing: words not in the vocabulary need it");
  }
  encoder->unknown = *vocabulary.unknown;
  FALLOW_ASSIGN_OR_RETURN(const auto lowercase,
                          file.FindBool("tokenizer.ggml.normalizer.lowercase"));
  FALLOW_ASSIGN_OR_RETURN(const auto strip_accents,
                          file.FindBool("tokenizer.ggml.normalizer.strip_accents"));
  encoder->normalization.lowercase = lowercase.value_or(true);
  encoder->normalization.strip_accents = strip_accents.value_or(encoder->normalization.lowercase);
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control.GoOn());
    const TokenKind kind = vocabulary.kinds[id];
    if (!vocabulary.IsControl(id) && kind != TokenKind::kUnused)
      encoder->index.Add(vocabulary.spellings[id], id);
  }
  FALLOW_RETURN_IF_ERROR(control.GoOn());
  encoder->index.Freeze();
  return encoder;
}

}  // namespace fallow::engine
