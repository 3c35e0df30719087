// A VocabularyTokenizer is what all kinds of tokenizers share: special tokens found before the text
// between them is encoded, the tokens that begin and end texts, and the bytes of every token.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/run_encoder.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace fallow::engine {

class VocabularyTokenizer final : public Tokenizer {
 public:
  // What white space tokens take along is the caller's to know, by `strips`.
  struct Stripped {
    std::uint32_t token = 0;
    SpecialTokens::Strip strip;
  };
  static Result<std::unique_ptr<Tokenizer>> New(const Vocabulary& vocabulary,
                                                std::unique_ptr<RunEncoder> encoder,
                                                const std::vector<Stripped>& strips,
                                                const StepControl& control);

  std::vector<std::uint32_t> EncodePrompt(std::span<const PromptPiece> pieces) const override;
  std::vector<std::uint32_t> EncodeText(std::string_view text) const override;
  std::vector<std::uint32_t> Encode(std::string_view text) const override;
  std::string Decode(std::span<const std::uint32_t> tokens) const override;
  std::string_view TokenBytes(std::uint32_t token) const override;
  std::uint32_t vocabulary_size() const override;
  bool IsEndOfGeneration(std::uint32_t token) const override;

 private:
  explicit VocabularyTokenizer(std::unique_ptr<RunEncoder> encoder)
      : encoder_(std::move(encoder)) {}

  void Append(std::string_view text, std::span<const TextRange> trusted,
              std::vector<std::uint32_t>& tokens) const;
  bool IsSpecial(std::uint32_t token) const;

  std::unique_ptr<RunEncoder> encoder_;
  SpecialTokens specials_;
  std::vector<std::string> token_bytes_;
  std::vector<bool> is_special_;
  std::vector<std::uint32_t> end_tokens_;  // in order
  std::optional<std::uint32_t> first_;     // in front of every text
  std::optional<std::uint32_t> last_;      // behind a text by itself
};

}  // namespace fallow::engine
