#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/chat/load_chat_format.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kStart = 1000, kEnd = 1001, kFirst = 7;

// Bytes are tokens.
class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<std::uint32_t> Encode(std::string_view text) const override {
    return {text.begin(), text.end()};
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
    if (spelling == "<|im_start|>") return kStart;
    if (spelling == "<|im_end|>") return kEnd;
    return Fail(ErrorCode::kNotFound, "none");
  }
  std::string_view TokenBytes(std::uint32_t) const override { return {}; }
  std::uint32_t vocabulary_size() const override { return 1002; }
  bool IsEndOfGeneration(std::uint32_t token) const override { return token == kEnd; }
};

constexpr std::string_view kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

TEST(ChatMl, IsRecognisedHoweverItIsWritten) {
  EXPECT_TRUE(IsChatMlTemplate(kChatMl));
  EXPECT_TRUE(IsChatMlTemplate(
      "{%- for message in messages -%}\n  {{- \"<|im_start|>\" + message.role + \"\\n\" + "
      "message.content -}}\n"
      "  {{- '<|im_end|>\\n' -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n"
      "  {{- '<|im_start|>assistant\\n' -}}\n{%- endif -%}"));
  EXPECT_TRUE(
      IsChatMlTemplate("{% if not add_generation_prompt is defined %}{% set add_generation_prompt "
                       "= false %}{% endif %}"
                       "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                       "message['content'] + '<|im_end|>' + "
                       "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
                       "'<|im_start|>assistant\\n' }}{% endif %}"));
  EXPECT_TRUE(
      IsChatMlTemplate("{% for message in messages %}\n<|im_start|>{{ message.role }}\n{{ "
                       "message.content }}<|im_end|>\n{% endfor %}\n"
                       "{% if add_generation_prompt %}\n<|im_start|>assistant\n{% endif %}\n"));
}

TEST(ChatMl, IsNotRecognisedWhereTheLogicDiffers) {
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text(kChatMl);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    return text.replace(at, from.size(), to);
  };
  EXPECT_FALSE(IsChatMlTemplate(""));
  EXPECT_FALSE(IsChatMlTemplate(with("message['content']", "message['content'] | trim")));
  EXPECT_FALSE(IsChatMlTemplate(with("message['role']", "'user'")));
  EXPECT_FALSE(IsChatMlTemplate(with("in messages", "in messages[1:]")));
  EXPECT_FALSE(IsChatMlTemplate(with("<|im_end|>", "</s>")));
  EXPECT_FALSE(IsChatMlTemplate(with("{% if add", "{{ 'x' }}{% if add")));
  EXPECT_FALSE(IsChatMlTemplate(with("{% endif %}", "")));
  EXPECT_FALSE(IsChatMlTemplate(with("{% endif %}", "{# #}{% endif %}")));
  EXPECT_FALSE(IsChatMlTemplate(with("'<|im_start|>' +", "'<|im_start|> +")));
  EXPECT_FALSE(IsChatMlTemplate("{% for"));
  EXPECT_FALSE(IsChatMlTemplate("{{ 'x"));
}

// Loads the format of a file with this template; `add_first` as add_bos_token.
Result<std::unique_ptr<ChatFormat>> Load(std::string_view chat_template, bool add_first = false) {
  GgufWriter writer;
  writer.String("tokenizer.chat_template", chat_template)
      .Bool("tokenizer.ggml.add_bos_token", add_first)
      .U32("tokenizer.ggml.bos_token_id", kFirst);
  const Bytes file = writer.Write();
  const auto parsed = GgufFile::Parse(file);
  EXPECT_TRUE(parsed.has_value());
  return LoadChatFormat(*parsed, ByteTokenizer());
}

TEST(ChatMl, PutsEachMessageBetweenItsMarks) {
  const auto format = Load(kChatMl);
  ASSERT_TRUE(format.has_value());
  const ChatMessage messages[] = {{"system", "S"}, {"user", "U"}};
  std::vector<std::uint32_t> wanted = {kStart};
  const auto append = [&](std::string_view text) {
    wanted.insert(wanted.end(), text.begin(), text.end());
  };
  append("system\nS");
  wanted.push_back(kEnd);
  append("\n");
  wanted.push_back(kStart);
  append("user\nU");
  wanted.push_back(kEnd);
  append("\n");
  wanted.push_back(kStart);
  append("assistant\n");
  EXPECT_EQ((*format)->Render(messages, ByteTokenizer()).value(), wanted);
}

TEST(ChatMl, StartsWithTheVocabularysFirstTokenIfItWantsOne) {
  const auto format = Load(kChatMl, true);
  ASSERT_TRUE(format.has_value());
  const ChatMessage messages[] = {{"user", ""}};
  EXPECT_EQ((*format)->Render(messages, ByteTokenizer()).value()[0], kFirst);
}

TEST(ChatMl, KeepsMarksInAMessageAsText) {
  const auto format = Load(kChatMl);
  ASSERT_TRUE(format.has_value());
  const ChatMessage messages[] = {{"user", "<|im_end|>"}};
  const auto tokens = (*format)->Render(messages, ByteTokenizer()).value();
  EXPECT_EQ(std::ranges::count(tokens, kEnd), 1);
}

TEST(ChatMl, NamesARoleItDoesNotKnow) {
  const auto format = Load(kChatMl);
  ASSERT_TRUE(format.has_value());
  const ChatMessage messages[] = {{"user", "x"}, {"tool", "y"}};
  const auto rendered = (*format)->Render(messages, ByteTokenizer());
  ASSERT_FALSE(rendered.has_value());
  EXPECT_THAT(rendered.error().message, HasSubstr("message 1: role \"tool\""));
  EXPECT_FALSE((*format)->Render({}, ByteTokenizer()).has_value());
}

TEST(ChatFormat, RefusesOtherTemplatesByName) {
  const auto format = Load("{{ messages }}");
  ASSERT_FALSE(format.has_value());
  EXPECT_EQ(format.error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(format.error().message, HasSubstr("tokenizer.chat_template"));
}

}  // namespace
}  // namespace fallow::engine
