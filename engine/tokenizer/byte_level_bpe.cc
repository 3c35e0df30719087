#include "engine/tokenizer/byte_level_bpe.h"

#include <fmt/format.h>

#include <array>

#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/spelling_index.h"
#include "engine/tokenizer/word_splitter.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

constexpr std::uint32_t kNoToken = 0xFFFFFFFF;

// Without these a vocabulary could not spell plain text. Of the others some vocabularies lack a
// few: control characters, and bytes that only rare planes of Unicode or none have.
bool IsIndispensable(std::uint32_t byte) {
  return byte == '\n' || (byte >= ' ' && byte <= '~');
}

struct ByteLevelBpe final : RunEncoder {
  void Encode(std::string_view run, std::vector<std::uint32_t>& tokens) const override {
    std::vector<std::uint32_t> pieces;
    for (const std::string_view word : splitter->Split(run)) {
      if (const auto whole = words.Find(word); whole.has_value()) {
        tokens.push_back(*whole);
        continue;
      }
      pieces.clear();
      for (const char byte : word) {
        const std::uint32_t token = byte_tokens[static_cast<std::uint8_t>(byte)];
        if (token != kNoToken) pieces.push_back(token);
      }
      merges.Merge(pieces, tokens);
    }
  }

  std::string Decode(std::uint32_t, std::string_view spelling, TokenKind kind) const override {
    auto bytes = kind == TokenKind::kUser ? std::nullopt : BytesOfSpelling(spelling);
    return bytes.has_value() ? *std::move(bytes) : std::string(spelling);
  }

  bool puts_space_in_front() const override { return false; }

  std::unique_ptr<WordSplitter> splitter;
  MergeTable merges;
  std::array<std::uint32_t, 256> byte_tokens{};  // kNoToken where the vocabulary has none
  SpellingIndex words;  // words that are tokens, by their bytes; empty where the rule merges all
};

class Loader {
 public:
  Loader(const GgufFile& file, const Vocabulary& vocabulary, const StepControl& control)
      : file_(file), vocabulary_(vocabulary), control_(control) {}

  Result<std::unique_ptr<RunEncoder>> Run(const WordRule& rule) {
    FALLOW_ASSIGN_OR_RETURN(bpe_->splitter, NewWordSplitter(rule));
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control_.GoOn());
      if (!vocabulary_.spellings[id].empty()) ids_.Add(vocabulary_.spellings[id], id);
    }
    FALLOW_RETURN_IF_ERROR(control_.GoOn());
    ids_.Freeze();
    FALLOW_RETURN_IF_ERROR(FindByteTokens());
    FALLOW_RETURN_IF_ERROR(ReadMerges());
    FALLOW_RETURN_IF_ERROR(control_.GoOn());
    bpe_->merges.Freeze();
    if (rule.whole_words) FALLOW_RETURN_IF_ERROR(AddWords());
    FALLOW_RETURN_IF_ERROR(control_.GoOn());
    bpe_->words.Freeze();
    return std::move(bpe_);
  }

 private:
  Status FindByteTokens() {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const auto found = ids_.Find(SpellByte(static_cast<std::uint8_t>(byte)));
      const bool usable = found.has_value() && !vocabulary_.IsControl(*found);
      if (!usable && IsIndispensable(byte))
        return Bad(fmt::format("tokenizer.ggml.tokens: no token for byte {:#04x}", byte));
      bpe_->byte_tokens[byte] = usable ? *found : kNoToken;
    }
    return {};
  }

  Status ReadMerges() {
    const GgufValue* value = file_.Find(kMergesKey);
    const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(&value->value);
    if (array != nullptr && array->count > kMaxMerges) {
      return Bad(fmt::format("{}: {} entries; at most {} are allowed", kMergesKey, array->count,
                             kMaxMerges));
    }
    FALLOW_ASSIGN_OR_RETURN(const auto merges, file_.RequireStrings(kMergesKey));
    std::string merged;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      if (i % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control_.GoOn());
      // The left piece is not empty, and a stand-in for a space is not a space.
      const std::size_t space = merges[i].find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merges[i].size()) {
        return Bad(fmt::format("{}: entry {} (\"{}\") is not two pieces", kMergesKey, i,
                               Shown(merges[i])));
      }
      merged = merges[i];
      merged.erase(space, 1);
      const auto left = ids_.Find(merges[i].substr(0, space));
      const auto right = ids_.Find(merges[i].substr(space + 1));
      const auto whole = ids_.Find(merged);
      if (!left.has_value() || !right.has_value() || !whole.has_value()) {
        return Bad(fmt::format("{}: entry {} (\"{}\") names a piece that is not a token",
                               kMergesKey, i, Shown(merges[i])));
      }
      // A message's text must not be merged into a control token.
      if (vocabulary_.IsTemplatesOwn(*left) || vocabulary_.IsTemplatesOwn(*right) ||
          vocabulary_.IsTemplatesOwn(*whole)) {
        continue;
      }
      bpe_->merges.Add(*left, *right, *whole);
    }
    return {};
  }

  Status AddWords() {
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control_.GoOn());
      if (vocabulary_.kinds[id] != TokenKind::kNormal) continue;
      const auto bytes = BytesOfSpelling(vocabulary_.spellings[id]);
      if (bytes.has_value()) bpe_->words.Add(*bytes, id);
    }
    return {};
  }

  const GgufFile& file_;
  const Vocabulary& vocabulary_;
  const StepControl& control_;
  std::unique_ptr<ByteLevelBpe> bpe_ = std::make_unique<ByteLevelBpe>();
  SpellingIndex ids_;
};

}  // namespace

Result<const WordRule*> FindWordRuleOf(const GgufFile& file) {
  FALLOW_ASSIGN_OR_RETURN(const auto name, file.FindString(kPreKey));
  if (!name.has_value()) {
    return Bad(fmt::format("{} is missing: how text is cut into words is not known", kPreKey));
  }
  const WordRule* rule = FindWordRule(*name);
  if (rule == nullptr) {
    return Fail(ErrorCode::kUnimplemented, fmt::format("{} \"{}\" is not known; known: {}", kPreKey,
                                                       Shown(*name), KnownWordRules()));
  }
  return rule;
}

Result<std::unique_ptr<RunEncoder>> NewByteLevelBpe(const GgufFile& file,
                                                    const Vocabulary& vocabulary,
                                                    const WordRule& rule,
                                                    const StepControl& control) {
  return Loader(file, vocabulary, control).Run(rule);
}

}  // namespace fallow::engine
