#include "engine/tokenizer/load_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/tokenizer/byte_level_bpe.h"
#include "engine/tokenizer/sentence_piece.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/vocabulary_tokenizer.h"
#include "engine/tokenizer/word_piece.h"

namespace fallow::engine {
namespace {

using Stripped = VocabularyTokenizer::Stripped;

bool ContainsAnyOf(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [&](auto part) { return text.find(part) != text.npos; });
}

std::string Lowercase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

// The white space that tokens take along is not in the format: these are the models known to have
// such tokens, by what tells them apart.
Result<std::vector<Stripped>> FindStrips(const GgufFile& file, const Vocabulary& vocabulary) {
  FALLOW_ASSIGN_OR_RETURN(const auto name, file.FindString("general.name"));
  FALLOW_ASSIGN_OR_RETURN(const auto rule, file.FindString("tokenizer.ggml.pre"));
  const std::string model = Lowercase(name.value_or(""));
  std::vector<Stripped> strips;
  if (ContainsAnyOf(model, {"phi-3", "phi3"})) {
    for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
      const std::string_view spelling = vocabulary.spellings[id];
      const bool special = vocabulary.IsControl(id) || vocabulary.kinds[id] == TokenKind::kUser;
      if (special && spelling != "<unk>" && spelling != "<s>" && spelling != "<|endoftext|>")
        strips.push_back({id, {.right = true}});
    }
    return strips;
  }
  std::string_view mask;
  if (ContainsAnyOf(rule.value_or(""), {"jina-v2-de", "jina-v2-es", "jina-v2-code"})) {
    mask = "<mask>";
  } else if (ContainsAnyOf(model, {"modern-bert"})) {
    mask = "[MASK]";
  }
  const auto found = std::ranges::find(vocabulary.spellings, mask);
  if (!mask.empty() && found != vocabulary.spellings.end()) {
    strips.push_back(
        {static_cast<std::uint32_t>(found - vocabulary.spellings.begin()), {.left = true}});
  }
  return strips;
}

Result<std::unique_ptr<Tokenizer>> Assemble(const GgufFile& file, const Vocabulary& vocabulary,
                                            Result<std::unique_ptr<RunEncoder>> encoder,
                                            const StepControl& control) {
  if (!encoder.has_value()) return std::unexpected(std::move(encoder).error());
  FALLOW_ASSIGN_OR_RETURN(const auto strips, FindStrips(file, vocabulary));
  return VocabularyTokenizer::New(vocabulary, *std::move(encoder), strips, control);
}

Status RequireAnEnd(const Vocabulary& vocabulary) {
  if (!vocabulary.end_tokens.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument,
              "tokenizer.ggml.eos_token_id is missing: generation would never end");
}

Result<std::unique_ptr<Tokenizer>> LoadGpt2(const GgufFile& file, const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(const WordRule* rule, FindWordRuleOf(file));
  FALLOW_ASSIGN_OR_RETURN(const auto vocabulary,
                          ReadVocabulary(file, {.add_bos = rule->add_bos}, control));
  FALLOW_RETURN_IF_ERROR(RequireAnEnd(vocabulary));
  return Assemble(file, vocabulary, NewByteLevelBpe(file, vocabulary, *rule, control), control);
}

Result<std::unique_ptr<Tokenizer>> LoadLlama(const GgufFile& file, const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(
      const auto vocabulary,
      ReadVocabulary(file, {.add_bos = true, .bos = 1, .eos = 2, .unknown = 0}, control));
  FALLOW_RETURN_IF_ERROR(RequireAnEnd(vocabulary));
  return Assemble(file, vocabulary, NewSentencePiece(file, vocabulary, control), control);
}

// A text stands between its class and separator tokens, whatever else the file says.
Result<std::unique_ptr<Tokenizer>> LoadBert(const GgufFile& file, const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(
      auto vocabulary,
      ReadVocabulary(file, {.add_bos = true, .bos = 101, .unknown = 100, .separator = 102},
                     control));
  if (!vocabulary.bos.has_value() || !vocabulary.separator.has_value()) {
    return Fail(ErrorCode::kInvalidArgument,
                "tokenizer.ggml.cls_token_id or tokenizer.ggml.seperator_token_id is missing: a "
                "text stands between them");
  }
  vocabulary.add_bos = true;
  vocabulary.add_eos = true;
  vocabulary.eos = vocabulary.separator;
  return Assemble(file, vocabulary, NewWordPiece(file, vocabulary, control), control);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const GgufFile& file, const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(const auto model, file.RequireString("tokenizer.ggml.model"));
  if (model == "gpt2") return LoadGpt2(file, control);
  if (model == "llama") return LoadLlama(file, control);
  if (model == "bert") return LoadBert(file, control);
  return Fail(ErrorCode::kUnimplemented,
              fmt::format("tokenizer.ggml.model \"{}\" is not known; known: bert, gpt2, llama",
                          Shown(model)));
}

}  // namespace fallow::engine
