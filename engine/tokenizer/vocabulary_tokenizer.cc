#include "engine/tokenizer/vocabulary_tokenizer.h"

#include <algorithm>

namespace fallow::engine {
namespace {

// What the template wrote, where neighbours are one range.
std::vector<TextRange> TrustedRanges(std::span<const PromptPiece> pieces) {
  std::vector<TextRange> ranges;
  std::size_t at = 0;
  for (const PromptPiece& piece : pieces) {
    const TextRange range = {at, at + piece.text.size()};
    at = range.end;
    if (!piece.from_template || piece.text.empty()) continue;
    if (!ranges.empty() && ranges.back().end == range.begin) {
      ranges.back().end = range.end;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> VocabularyTokenizer::New(const Vocabulary& vocabulary,
                                                            std::unique_ptr<RunEncoder> encoder,
                                                            const std::vector<Stripped>& strips,
                                                            const StepControl& control) {
  std::unique_ptr<VocabularyTokenizer> tokenizer(new VocabularyTokenizer(std::move(encoder)));
  tokenizer->token_bytes_.resize(vocabulary.size());
  tokenizer->is_special_.resize(vocabulary.size());
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control.GoOn());
    const std::string_view spelling = vocabulary.spellings[id];
    const bool is_control = vocabulary.IsControl(id);
    const bool special = is_control || vocabulary.kinds[id] == TokenKind::kUser;
    if (!is_control) {
      tokenizer->token_bytes_[id] = tokenizer->encoder_->Decode(id, spelling, vocabulary.kinds[id]);
    }
    if (spelling.empty()) continue;
    tokenizer->is_special_[id] = special;
    if (special) {
      tokenizer->specials_.Add(spelling, id,
                               vocabulary.IsTemplatesOwn(id) ? SpecialTokens::Scope::kTrustedRuns
                                                             : SpecialTokens::Scope::kAnyText);
    }
  }
  for (const Stripped& stripped : strips)
    tokenizer->specials_.SetStrip(stripped.token, stripped.strip);
  FALLOW_RETURN_IF_ERROR(tokenizer->specials_.Freeze());
  tokenizer->end_tokens_ = vocabulary.end_tokens;
  if (vocabulary.add_bos) tokenizer->first_ = vocabulary.bos;
  if (vocabulary.add_eos) tokenizer->last_ = vocabulary.eos;
  return tokenizer;
}

std::vector<std::uint32_t> VocabularyTokenizer::EncodePrompt(
    std::span<const PromptPiece> pieces) const {
  std::string text;
  for (const PromptPiece& piece : pieces) text += piece.text;
  std::vector<std::uint32_t> tokens;
  Append(text, TrustedRanges(pieces), tokens);
  if (first_.has_value() && (tokens.empty() || tokens.front() != *first_))
    tokens.insert(tokens.begin(), *first_);
  return tokens;
}

std::vector<std::uint32_t> VocabularyTokenizer::EncodeText(std::string_view text) const {
  std::vector<std::uint32_t> tokens;
  if (first_.has_value()) tokens.push_back(*first_);
  Append(text, {}, tokens);
  if (last_.has_value()) tokens.push_back(*last_);
  return tokens;
}

std::vector<std::uint32_t> VocabularyTokenizer::Encode(std::string_view text) const {
  std::vector<std::uint32_t> tokens;
  Append(text, {}, tokens);
  return tokens;
}

void VocabularyTokenizer::Append(std::string_view text, std::span<const TextRange> trusted,
                                 std::vector<std::uint32_t>& tokens) const {
  for (const TextFragment& fragment : specials_.Split(text, trusted)) {
    if (fragment.token.has_value()) {
      tokens.push_back(*fragment.token);
    } else {
      encoder_->Encode(fragment.text, tokens);
    }
  }
}

std::string VocabularyTokenizer::Decode(std::span<const std::uint32_t> tokens) const {
  std::string text;
  bool run_begins = true;
  for (const std::uint32_t token : tokens) {
    std::string_view bytes = TokenBytes(token);
    const bool special = IsSpecial(token);
    if (run_begins && !special && encoder_->puts_space_in_front() && bytes.starts_with(' '))
      bytes.remove_prefix(1);
    text += bytes;
    run_begins = special;
  }
  return text;
}

std::string_view VocabularyTokenizer::TokenBytes(std::uint32_t token) const {
  return token < token_bytes_.size() ? std::string_view(token_bytes_[token]) : std::string_view();
}

std::uint32_t VocabularyTokenizer::vocabulary_size() const {
  return static_cast<std::uint32_t>(token_bytes_.size());
}

bool VocabularyTokenizer::IsEndOfGeneration(std::uint32_t token) const {
  return std::ranges::binary_search(end_tokens_, token);
}

bool VocabularyTokenizer::IsSpecial(std::uint32_t token) const {
  return token < is_special_.size() && is_special_[token];
}

}  // namespace fallow::engine
