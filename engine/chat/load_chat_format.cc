#include "engine/chat/load_chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/chat/template_outline.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";

class ChatMl final : public ChatFormat {
 public:
  ChatMl(std::uint32_t start, std::uint32_t end, std::optional<std::uint32_t> first)
      : start_(start), end_(end), first_(first) {}

  Result<std::vector<std::uint32_t>> Render(std::span<const ChatMessage> messages,
                                            const Tokenizer& tokenizer) const override {
    if (messages.empty())
      return Fail(ErrorCode::kInvalidArgument, "messages: at least one is needed");
    std::vector<std::uint32_t> tokens;
    if (first_.has_value()) tokens.push_back(*first_);
    const auto append = [&](std::string_view text) {
      const std::vector<std::uint32_t> encoded = tokenizer.Encode(text);
      tokens.insert(tokens.end(), encoded.begin(), encoded.end());
    };
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const ChatMessage& message = messages[i];
      constexpr std::array<std::string_view, 3> kRoles = {"system", "user", "assistant"};
      if (std::ranges::find(kRoles, message.role) == kRoles.end()) {
        return Fail(
            ErrorCode::kInvalidArgument,
            fmt::format("message {}: role \"{}\" is not known; known: system, user, assistant", i,
                        Shown(message.role)));
      }
      tokens.push_back(start_);
      append(message.role + '\n' + message.content);
      tokens.push_back(end_);
      append("\n");
    }
    tokens.push_back(start_);
    append("assistant\n");
    return tokens;
  }

 private:
  std::uint32_t start_;
  std::uint32_t end_;
  std::optional<std::uint32_t> first_;  // where the vocabulary wants one in front of every text
};

Result<std::optional<std::uint32_t>> FirstToken(const GgufFile& file, const Tokenizer& tokenizer) {
  FALLOW_ASSIGN_OR_RETURN(const auto add, file.FindBool("tokenizer.ggml.add_bos_token"));
  if (!add.value_or(false)) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(const auto id, file.RequireUint("tokenizer.ggml.bos_token_id"));
  if (id >= tokenizer.vocabulary_size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("tokenizer.ggml.bos_token_id: {} is beyond the {} tokens", id,
                            tokenizer.vocabulary_size()));
  }
  return static_cast<std::uint32_t>(id);
}

}  // namespace

bool IsChatMlTemplate(std::string_view chat_template) {
  using Kind = OutlinePart::Kind;
  auto outline = OutlineTemplate(chat_template);
  if (!outline.has_value()) return false;
  // Some say first what add_generation_prompt is when nobody sets it; we do set it.
  const std::vector<OutlinePart> preamble = {
      {Kind::kStatement, "if not add_generation_prompt is defined"},
      {Kind::kStatement, "set add_generation_prompt = false"},
      {Kind::kStatement, "endif"},
  };
  if (outline->size() > preamble.size() &&
      std::equal(preamble.begin(), preamble.end(), outline->begin())) {
    outline->erase(outline->begin(),
                   outline->begin() + static_cast<std::ptrdiff_t>(preamble.size()));
  }
  const std::vector<OutlinePart> chat_ml = {
      {Kind::kStatement, "for message in messages"},
      {Kind::kText, "<|im_start|>"},
      {Kind::kExpression, "message['role']"},
      {Kind::kText, "\n"},
      {Kind::kExpression, "message['content']"},
      {Kind::kText, "<|im_end|>\n"},
      {Kind::kStatement, "endfor"},
      {Kind::kStatement, "if add_generation_prompt"},
      {Kind::kText, "<|im_start|>assistant\n"},
      {Kind::kStatement, "endif"},
  };
  return *outline == chat_ml;
}

Result<std::unique_ptr<ChatFormat>> LoadChatFormat(const GgufFile& file,
                                                   const Tokenizer& tokenizer) {
  FALLOW_ASSIGN_OR_RETURN(const auto chat_template, file.FindString(kTemplateKey));
  if (!chat_template.has_value()) return nullptr;
  if (!IsChatMlTemplate(*chat_template)) {
    return Fail(
        ErrorCode::kUnimplemented,
        fmt::format(
            "{}: its logic is not known; known: ChatML (<|im_start|>role, text, <|im_end|>)",
            kTemplateKey));
  }
  FALLOW_ASSIGN_OR_RETURN(const auto start, tokenizer.SpecialToken("<|im_start|>"));
  FALLOW_ASSIGN_OR_RETURN(const auto end, tokenizer.SpecialToken("<|im_end|>"));
  FALLOW_ASSIGN_OR_RETURN(const auto first, FirstToken(file, tokenizer));
  return std::make_unique<ChatMl>(start, end, first);
}

}  // namespace fallow::engine
