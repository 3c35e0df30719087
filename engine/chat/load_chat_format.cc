#include "engine/chat/load_chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/chat/chat_template.h"

namespace fallow::engine {
namespace {

using jinja::Value;

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";

// Many templates build a control token around the role: '<|' + message.role + '|>'. These names are
// therefore the template's own words, whoever sends them; any other role is a message's text.
constexpr std::array<std::string_view, 9> kKnownRoles = {
    "system", "user", "assistant", "tool", "developer", "function", "ipython", "model", "context"};

Value RoleValue(const std::string& role) {
  const bool known = std::ranges::find(kKnownRoles, role) != kKnownRoles.end();
  return known ? Value::OfTemplate(role) : Value::OfMessage(role);
}

Result<Value> MessagesValue(std::span<const ChatMessage> messages) {
  jinja::Budget budget;
  std::vector<Value> values;
  for (const ChatMessage& message : messages) {
    jinja::Mapping mapping;
    mapping.Set(Value::OfTemplate("role"), RoleValue(message.role));
    mapping.Set(Value::OfTemplate("content"), Value::OfMessage(message.content));
    FALLOW_ASSIGN_OR_RETURN(Value value, jinja::MakeMapping(std::move(mapping), budget));
    values.push_back(std::move(value));
  }
  return jinja::MakeSequence(std::move(values), jinja::SequenceKind::kList, budget);
}

class TemplateFormat final : public ChatFormat {
 public:
  TemplateFormat(ChatTemplate chat_template, std::string bos_token, std::string eos_token)
      : template_(std::move(chat_template)),
        bos_token_(std::move(bos_token)),
        eos_token_(std::move(eos_token)) {}

  Result<std::vector<std::uint32_t>> Render(std::span<const ChatMessage> messages,
                                            const Tokenizer& tokenizer) const override {
    if (messages.empty())
      return Fail(ErrorCode::kInvalidArgument, "messages: at least one is needed");
    ChatInput input{.bos_token = bos_token_, .eos_token = eos_token_};
    FALLOW_ASSIGN_OR_RETURN(input.messages, MessagesValue(messages));
    FALLOW_ASSIGN_OR_RETURN(const std::vector<PromptPiece> pieces, template_.Render(input));
    return tokenizer.EncodePrompt(pieces);
  }

 private:
  ChatTemplate template_;
  std::string bos_token_;
  std::string eos_token_;
};

// How the vocabulary spells the token that `key` names; empty if the file does not name one.
Result<std::string> SpellingOf(const GgufFile& file, std::string_view key) {
  FALLOW_ASSIGN_OR_RETURN(const auto id, file.FindUint(key));
  if (!id.has_value()) return std::string();
  FALLOW_ASSIGN_OR_RETURN(const auto tokens, file.RequireStrings("tokenizer.ggml.tokens"));
  if (*id >= tokens.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {} is beyond the {} tokens", key, *id, tokens.size()));
  }
  return std::string(tokens[*id]);
}

}  // namespace

Result<std::unique_ptr<ChatFormat>> LoadChatFormat(const GgufFile& file) {
  FALLOW_ASSIGN_OR_RETURN(const auto source, file.FindString(kTemplateKey));
  if (!source.has_value()) return nullptr;
  auto parsed = ChatTemplate::Parse(*source);
  if (!parsed.has_value()) return Wrap(parsed.error(), kTemplateKey);
  FALLOW_ASSIGN_OR_RETURN(std::string bos, SpellingOf(file, "tokenizer.ggml.bos_token_id"));
  FALLOW_ASSIGN_OR_RETURN(std::string eos, SpellingOf(file, "tokenizer.ggml.eos_token_id"));
  return std::make_unique<TemplateFormat>(*std::move(parsed), std::move(bos), std::move(eos));
}

}  // namespace fallow::engine
