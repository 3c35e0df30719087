#include "engine/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/gguf/read_value.h"
#include "engine/tokenizer/end_tokens.h"
#include "engine/tokenizer/spelling_index.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

class VocabularyReader {
 public:
  VocabularyReader(const GgufFile& file, const VocabularyDefaults& defaults,
                   const StepControl& control)
      : file_(file), defaults_(defaults), control_(control) {}

  Result<Vocabulary> Run() {
    FALLOW_RETURN_IF_ERROR(ReadSpellings());
    FALLOW_RETURN_IF_ERROR(ReadKinds());
    FALLOW_RETURN_IF_ERROR(IndexSpellings());
    FALLOW_RETURN_IF_ERROR(control_.GoOn());
    FALLOW_RETURN_IF_ERROR(ReadSpecialIds());
    FALLOW_RETURN_IF_ERROR(ReadEndTokens());
    return std::move(vocabulary_);
  }

 private:
  Status ReadSpellings() {
    const GgufValue* value = file_.Find(kTokensKey);
    const auto* array = value == nullptr ? nullptr : std::get_if<GgufArray>(&value->value);
    if (array != nullptr && (array->count == 0 || array->count > kMaxVocabularyTokens)) {
      return Bad(fmt::format("{}: {} tokens; 1 to {} are allowed", kTokensKey, array->count,
                             kMaxVocabularyTokens));
    }
    FALLOW_ASSIGN_OR_RETURN(vocabulary_.spellings, file_.RequireStrings(kTokensKey));
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      if (vocabulary_.spellings[id].size() > kMaxTokenSpellingBytes) {
        return Bad(fmt::format("{}: entry {} has {} bytes; at most {} are allowed", kTokensKey, id,
                               vocabulary_.spellings[id].size(), kMaxTokenSpellingBytes));
      }
    }
    return {};
  }

  Status ReadKinds() {
    FALLOW_ASSIGN_OR_RETURN(const auto types, file_.FindIntegers(kTypesKey));
    vocabulary_.kinds_known = types.has_value();
    vocabulary_.kinds.assign(vocabulary_.size(), TokenKind::kNormal);
    if (types.has_value() && types->size() != vocabulary_.size()) {
      return Bad(fmt::format("{}: {} entries for {} tokens", kTypesKey, types->size(),
                             vocabulary_.size()));
    }
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      if (types.has_value()) {
        const std::int64_t type = (*types)[id];
        if (type < 0 || type > static_cast<std::int64_t>(TokenKind::kByte)) {
          return Bad(fmt::format("{}: entry {} is {}; 0 to {} are known", kTypesKey, id, type,
                                 static_cast<int>(TokenKind::kByte)));
        }
        vocabulary_.kinds[id] = static_cast<TokenKind>(type);
      }
      if (vocabulary_.spellings[id].empty()) vocabulary_.kinds[id] = TokenKind::kUnused;
    }
    return {};
  }

  Status IndexSpellings() {
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      if (id % kEntriesBetweenLooks == 0) FALLOW_RETURN_IF_ERROR(control_.GoOn());
      if (!vocabulary_.spellings[id].empty()) index_.Add(vocabulary_.spellings[id], id);
    }
    FALLOW_RETURN_IF_ERROR(control_.GoOn());
    if (const auto repeated = index_.Freeze(); repeated.has_value()) {
      return Bad(fmt::format("{}: entries {} and {} are both \"{}\"", kTokensKey, repeated->first,
                             repeated->second, Shown(vocabulary_.spellings[repeated->first])));
    }
    return {};
  }

  // The file's id, or the kind's where that is in the vocabulary.
  Result<std::optional<std::uint32_t>> ReadId(std::string_view name,
                                              std::optional<std::uint32_t> otherwise) {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    FALLOW_ASSIGN_OR_RETURN(const auto id, file_.FindUint(key));
    if (!id.has_value()) {
      if (otherwise.has_value() && *otherwise >= vocabulary_.size()) return std::nullopt;
      return otherwise;
    }
    if (*id >= vocabulary_.size()) {
      return Bad(fmt::format("{}: {} is beyond the {} tokens", key, *id, vocabulary_.size()));
    }
    return static_cast<std::uint32_t>(*id);
  }

  Status ReadSpecialIds() {
    FALLOW_ASSIGN_OR_RETURN(const auto cls, ReadId("cls", defaults_.bos));
    FALLOW_ASSIGN_OR_RETURN(vocabulary_.bos, ReadId("bos", cls));
    FALLOW_ASSIGN_OR_RETURN(vocabulary_.eos, ReadId("eos", defaults_.eos));
    FALLOW_ASSIGN_OR_RETURN(vocabulary_.unknown, ReadId("unknown", defaults_.unknown));
    // Spelt so in the format.
    FALLOW_ASSIGN_OR_RETURN(vocabulary_.separator, ReadId("seperator", defaults_.separator));
    FALLOW_ASSIGN_OR_RETURN(const auto add_bos, file_.FindBool("tokenizer.ggml.add_bos_token"));
    FALLOW_ASSIGN_OR_RETURN(const auto add_eos, file_.FindBool("tokenizer.ggml.add_eos_token"));
    vocabulary_.add_bos = add_bos.value_or(defaults_.add_bos);
    vocabulary_.add_eos = add_eos.value_or(defaults_.add_eos);
    if (vocabulary_.add_bos && !vocabulary_.bos.has_value()) {
      return Bad("tokenizer.ggml.bos_token_id is missing: every text must begin with it");
    }
    if (vocabulary_.add_eos && !vocabulary_.eos.has_value()) {
      return Bad("tokenizer.ggml.eos_token_id is missing: every text must end with it");
    }
    return {};
  }

  Status ReadEndTokens() {
    std::vector<std::uint32_t> ends = FindSpelledEndTokens(index_, vocabulary_.kinds);
    for (const std::uint32_t token : ends) vocabulary_.kinds[token] = TokenKind::kControl;
    FALLOW_ASSIGN_OR_RETURN(ends, AddNamedEndTokens(file_, vocabulary_.size(), std::move(ends)));
    if (vocabulary_.eos.has_value()) ends.push_back(*vocabulary_.eos);
    std::ranges::sort(ends);
    const auto repeated = std::ranges::unique(ends);
    ends.erase(repeated.begin(), repeated.end());
    vocabulary_.end_tokens = std::move(ends);
    return {};
  }

  const GgufFile& file_;
  const VocabularyDefaults& defaults_;
  const StepControl& control_;
  Vocabulary vocabulary_;
  SpellingIndex index_;
};

}  // namespace

// As converters tell them apart: "<|im_start|>", the same with full-width bars, Gemma's.
bool Vocabulary::IsTemplatesOwn(std::uint32_t token) const {
  if (IsControl(token)) return true;
  if (kinds[token] != TokenKind::kUser) return false;
  const std::string_view spelling = spellings[token];
  const auto is_framed = [&](std::string_view left, std::string_view right) {
    return spelling.size() > left.size() + right.size() && spelling.starts_with(left) &&
           spelling.ends_with(right);
  };
  return is_framed("<|", "|>") || is_framed("<\xEF\xBD\x9C", "\xEF\xBD\x9C>") ||
         spelling == "<start_of_turn>";
}

Result<Vocabulary> ReadVocabulary(const GgufFile& file, const VocabularyDefaults& defaults,
                                  const StepControl& control) {
  return VocabularyReader(file, defaults, control).Run();
}

Result<std::vector<float>> ReadScores(const GgufFile& file, std::uint32_t token_count) {
  const GgufValue* value = file.Find(kScoresKey);
  if (value == nullptr) return Bad(fmt::format("{} is missing", kScoresKey));
  const auto* array = std::get_if<GgufArray>(&value->value);
  if (array == nullptr || array->element_type != GgufType::kF32)
    return Bad(fmt::format("{} is not an array of f32", kScoresKey));
  if (array->count != token_count) {
    return Bad(fmt::format("{}: {} entries for {} tokens", kScoresKey, array->count, token_count));
  }
  std::vector<float> scores(token_count);
  for (std::uint32_t id = 0; id < token_count; ++id) {
    scores[id] = ReadValue<float>(array->bytes.data() + std::size_t{id} * sizeof(float));
    if (!std::isfinite(scores[id]))
      return Bad(fmt::format("{}: entry {} is not a finite number", kScoresKey, id));
  }
  return scores;
}

}  // namespace fallow::engine
