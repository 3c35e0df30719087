#include "engine/tokenizer/load_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <unordered_set>

#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/word_splitter.h"

namespace fallow::engine {
namespace {

// Token ids beyond this are not in any vocabulary we know; it bounds what a file can make us hold.
constexpr std::size_t kMaxVocabularySize = 1 << 20;

enum class TokenKind : std::uint8_t { kNormal = 1, kUnknown, kControl, kUser, kUnused, kByte };

// Byte-level byte-pair encoding: text is split into words, a word's bytes are merged by the table.
class ByteLevelBpe final : public Tokenizer {
 public:
  std::vector<std::uint32_t> Encode(std::string_view text) const override {
    std::vector<std::uint32_t> tokens;
    std::vector<std::uint32_t> pieces;
    for (const std::string_view word : splitter->Split(text)) {
      pieces.clear();
      for (const char byte : word) pieces.push_back(byte_tokens[static_cast<std::uint8_t>(byte)]);
      merges.Merge(pieces, tokens);
    }
    return tokens;
  }

  std::vector<std::uint32_t> EncodePrompt(std::span<const PromptPiece> pieces) const override {
    std::string text;
    for (const PromptPiece& piece : pieces) text += piece.text;
    return Encode(text);
  }
  std::vector<std::uint32_t> EncodeText(std::string_view text) const override {
    return Encode(text);
  }

  Result<std::uint32_t> SpecialToken(std::string_view spelling) const override {
    const auto found = specials.find(spelling);
    if (found != specials.end()) return found->second;
    return Fail(ErrorCode::kNotFound,
                fmt::format("the vocabulary has no special token {}", Shown(spelling)));
  }

  std::string_view TokenBytes(std::uint32_t token) const override {
    return token < token_bytes.size() ? std::string_view(token_bytes[token]) : std::string_view();
  }
  std::uint32_t vocabulary_size() const override {
    return static_cast<std::uint32_t>(token_bytes.size());
  }
  bool IsEndOfGeneration(std::uint32_t token) const override { return end_tokens.contains(token); }

  std::unique_ptr<WordSplitter> splitter;
  MergeTable merges;
  std::array<std::uint32_t, 256> byte_tokens{};
  std::vector<std::string> token_bytes;
  std::map<std::string, std::uint32_t, std::less<>> specials;
  std::unordered_set<std::uint32_t> end_tokens;
};

class BpeLoader {
 public:
  explicit BpeLoader(const GgufFile& file) : file_(file) {}

  Result<std::unique_ptr<Tokenizer>> Run() {
    FALLOW_ASSIGN_OR_RETURN(const auto rule, file_.RequireString("tokenizer.ggml.pre"));
    FALLOW_ASSIGN_OR_RETURN(bpe_->splitter, NewWordSplitter(rule));
    FALLOW_RETURN_IF_ERROR(ReadTokens());
    FALLOW_RETURN_IF_ERROR(ReadMerges());
    bpe_->merges.Freeze();
    FALLOW_RETURN_IF_ERROR(ReadEndTokens());
    return std::move(bpe_);
  }

 private:
  static std::unexpected<Error> Bad(std::string message) {
    return Fail(ErrorCode::kInvalidArgument, std::move(message));
  }

  Status ReadTokens() {
    FALLOW_ASSIGN_OR_RETURN(spellings_, file_.RequireStrings("tokenizer.ggml.tokens"));
    FALLOW_ASSIGN_OR_RETURN(const auto kinds, file_.FindIntegers("tokenizer.ggml.token_type"));
    if (spellings_.empty() || spellings_.size() > kMaxVocabularySize) {
      return Bad(fmt::format("tokenizer.ggml.tokens: {} tokens; 1 to {} are allowed",
                             spellings_.size(), kMaxVocabularySize));
    }
    if (kinds.has_value() && kinds->size() != spellings_.size()) {
      return Bad(fmt::format("tokenizer.ggml.token_type: {} entries for {} tokens", kinds->size(),
                             spellings_.size()));
    }
    bpe_->token_bytes.resize(spellings_.size());
    for (std::uint32_t id = 0; id < spellings_.size(); ++id) {
      const auto kind =
          kinds.has_value() ? static_cast<TokenKind>((*kinds)[id]) : TokenKind::kNormal;
      ReadToken(id, kind, kinds.has_value());
    }
    return FindByteTokens();
  }

  void ReadToken(std::uint32_t id, TokenKind kind, bool kinds_known) {
    const std::string_view spelling = spellings_[id];
    const bool special = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
    // A file that does not tell special tokens apart may still mean some as such.
    if (special || kind == TokenKind::kUser || !kinds_known) {
      bpe_->specials.emplace(std::string(spelling), id);
    }
    if (special) return;
    ids_.emplace(spelling, id);
    auto bytes = kind == TokenKind::kUser ? std::nullopt : BytesOfSpelling(spelling);
    bpe_->token_bytes[id] = bytes.has_value() ? *std::move(bytes) : std::string(spelling);
  }

  Status FindByteTokens() {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::string spelling = SpellByte(static_cast<std::uint8_t>(byte));
      const auto found = ids_.find(spelling);
      if (found == ids_.end()) {
        return Bad(fmt::format("tokenizer.ggml.tokens: no token for byte {:#04x}", byte));
      }
      bpe_->byte_tokens[byte] = found->second;
    }
    return {};
  }

  Status ReadMerges() {
    FALLOW_ASSIGN_OR_RETURN(const auto merges, file_.RequireStrings("tokenizer.ggml.merges"));
    for (std::size_t i = 0; i < merges.size(); ++i) {
      // The left piece is not empty, and a stand-in for a space is not a space.
      const std::size_t space = merges[i].find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merges[i].size()) {
        return Bad(fmt::format("tokenizer.ggml.merges: entry {} (\"{}\") is not two pieces", i,
                               Shown(merges[i])));
      }
      const std::string_view left = merges[i].substr(0, space);
      const std::string_view right = merges[i].substr(space + 1);
      const std::string merged = std::string(left) + std::string(right);
      const auto left_id = ids_.find(left);
      const auto right_id = ids_.find(right);
      const auto merged_id = ids_.find(merged);
      if (left_id == ids_.end() || right_id == ids_.end() || merged_id == ids_.end()) {
        return Bad(fmt::format(
            "tokenizer.ggml.merges: entry {} (\"{}\") names a piece that is not a token", i,
            Shown(merges[i])));
      }
      bpe_->merges.Add(left_id->second, right_id->second, merged_id->second);
    }
    return {};
  }

  Status ReadEndTokens() {
    for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"}) {
      FALLOW_ASSIGN_OR_RETURN(const auto id, file_.FindUint(key));
      if (!id.has_value()) continue;
      if (*id >= spellings_.size()) {
        return Bad(fmt::format("{}: {} is beyond the {} tokens", key, *id, spellings_.size()));
      }
      bpe_->end_tokens.insert(static_cast<std::uint32_t>(*id));
    }
    for (const std::string_view spelling : {"<|im_end|>", "<|endoftext|>"}) {
      if (const auto id = bpe_->SpecialToken(spelling); id.has_value())
        bpe_->end_tokens.insert(*id);
    }
    if (bpe_->end_tokens.empty()) {
      return Bad("tokenizer.ggml.eos_token_id is missing: generation would never end");
    }
    return {};
  }

  const GgufFile& file_;
  std::unique_ptr<ByteLevelBpe> bpe_ = std::make_unique<ByteLevelBpe>();
  std::vector<std::string_view> spellings_;
  // Of tokens that text can become. Ordered: names that a file makes up may all have one hash.
  std::map<std::string_view, std::uint32_t> ids_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const GgufFile& file) {
  FALLOW_ASSIGN_OR_RETURN(const auto model, file.RequireString("tokenizer.ggml.model"));
  if (model == "gpt2") return BpeLoader(file).Run();
  return Fail(ErrorCode::kUnimplemented,
              fmt::format("tokenizer.ggml.model \"{}\" is not known; known: gpt2", Shown(model)));
}

}  // namespace fallow::engine
