#include "engine/tokenizer/end_tokens.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace fallow::engine {
namespace {

// Ends of a turn, of a text, of a tool call, and what a code model writes when it has filled its
// gap or goes on to another file. DeepSeek writes its own with full-width bars and marks for
// spaces.
constexpr std::array<std::string_view, 21> kMarkers = {
    "<|eot_id|>",      "<|im_end|>",         "<|end|>",       "<|return|>",       "<|call|>",
    "<|calls|>",       "<|flush|>",          "<end_of_turn>", "<|endoftext|>",    "<|eom_id|>",
    "<|end_of_text|>", "<end_of_utterance>", "<turn|>",       "<|tool_response>", "[e~[",
    "<|fim_pad|>",     "<fim-pad>",          "<fim_pad>",     "<|fim_repo|>",     "<|repo_name|>",
    "<|file_sep|>",
};
constexpr std::string_view kDeepSeekEnd =
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>";
// The same, but ordinary text has them too, and some vocabularies an ordinary token for it.
constexpr std::array<std::string_view, 11> kTags = {
    "</s>",  "<eos>", "<EOT>",      "_<EOT>", "[EOT]",      "[EOS]",
    "<PAD>", "[PAD]", "<fim-repo>", "<REPO>", "<reponame>",
};

constexpr std::array<std::string_view, 6> kEndKeys = {
    "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
    "tokenizer.ggml.fim_sep_token_id", "tokenizer.ggml.eos_token_id",
};

}  // namespace

std::vector<std::uint32_t> FindSpelledEndTokens(const SpellingIndex& spellings,
                                                std::span<const TokenKind> kinds) {
  const auto has = [&](std::string_view spelling) { return spellings.Find(spelling).has_value(); };
  // There a message's end is told apart from the answer's.
  const bool message_end_is_none =
      (has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>"));
  // There "</s>" is a tag for text struck out.
  const bool s_is_a_tag = has("<|tool_response>");
  std::vector<std::uint32_t> tokens;
  const auto add = [&](std::string_view spelling, bool only_special) {
    const auto id = spellings.Find(spelling);
    if (id.has_value() && !(only_special && kinds[*id] == TokenKind::kNormal))
      tokens.push_back(*id);
  };
  for (const std::string_view spelling : kMarkers) {
    if (!(message_end_is_none && spelling == "<|end|>")) add(spelling, false);
  }
  add(kDeepSeekEnd, false);
  for (const std::string_view spelling : kTags) {
    if (!(s_is_a_tag && spelling == "</s>")) add(spelling, true);
  }
  return tokens;
}

Result<std::vector<std::uint32_t>> AddNamedEndTokens(const GgufFile& file,
                                                     std::uint32_t token_count,
                                                     std::vector<std::uint32_t> tokens) {
  for (const std::string_view key : kEndKeys) {
    FALLOW_ASSIGN_OR_RETURN(const auto id, file.FindUint(key));
    if (!id.has_value()) continue;
    if (*id >= token_count) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: {} is beyond the {} tokens", key, *id, token_count));
    }
    tokens.push_back(static_cast<std::uint32_t>(*id));
  }
  return tokens;
}

}  // namespace fallow::engine
