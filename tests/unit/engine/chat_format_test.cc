// A GGUF file's chat format: its template, its vocabulary's first and last token, its messages'
// roles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/chat/load_chat_format.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kControl = 1000;

// Every byte of text is a token; what the template wrote itself is kControl beyond it.
class ByteTokenizer final : public Tokenizer {
 public:
  std::vector<std::uint32_t> EncodePrompt(std::span<const PromptPiece> pieces) const override {
    std::vector<std::uint32_t> tokens;
    for (const PromptPiece& piece : pieces)
      for (const char c : piece.text)
        tokens.push_back(static_cast<unsigned char>(c) + (piece.from_template ? kControl : 0));
    return tokens;
  }
  std::vector<std::uint32_t> EncodeText(std::string_view text) const override {
    return Encode(text);
  }
  std::vector<std::uint32_t> Encode(std::string_view text) const override {
    return {text.begin(), text.end()};
  }
  std::string_view TokenBytes(std::uint32_t) const override { return {}; }
  std::uint32_t vocabulary_size() const override { return 2000; }
  bool IsEndOfGeneration(std::uint32_t) const override { return false; }
};

GgufWriter Vocabulary() {
  GgufWriter writer;
  writer.Strings("tokenizer.ggml.tokens", {"<first>", "<last>", "a"});
  return writer;
}

Result<std::unique_ptr<ChatFormat>> Load(GgufWriter& writer) {
  const Bytes file = writer.Write();
  const auto parsed = GgufFile::Parse(file);
  EXPECT_TRUE(parsed.has_value());
  return LoadChatFormat(*parsed);
}

Result<std::unique_ptr<ChatFormat>> Load(std::string_view chat_template) {
  GgufWriter writer = Vocabulary();
  writer.String("tokenizer.chat_template", chat_template);
  return Load(writer);
}

// What the template wrote in capitals, for ASCII letters.
std::string Shown(const std::vector<std::uint32_t>& tokens) {
  std::string text;
  for (const std::uint32_t token : tokens) {
    const auto c = static_cast<char>(token % kControl);
    text += token >= kControl && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return text;
}

std::string Render(const ChatFormat& format, std::vector<ChatMessage> messages) {
  const auto tokens = format.Render(messages, ByteTokenizer());
  return tokens.has_value() ? Shown(*tokens) : "error: " + tokens.error().message;
}

TEST(ChatFormat, IsNullForAFileWithoutATemplate) {
  GgufWriter writer = Vocabulary();
  EXPECT_EQ(Load(writer).value(), nullptr);
}

TEST(ChatFormat, IsThatOfTheDefaultTemplate) {
  GgufWriter writer = Vocabulary();
  writer.String("tokenizer.chat_template.tool_use", "other")
      .Strings("tokenizer.chat_templates", {"tool_use"})
      .String("tokenizer.chat_template", "default");
  EXPECT_EQ(Render(*Load(writer).value(), {{"user", "x"}}), "DEFAULT");
}

TEST(ChatFormat, OpensTheAssistantsMessage) {
  const auto format = Load("{% if add_generation_prompt %}open{% endif %}");
  EXPECT_EQ(Render(**format, {{"user", "x"}}), "OPEN");
}

TEST(ChatFormat, MarksWhatMessagesWrote) {
  const auto format = Load("{% for m in messages %}say {{ m.content }};{% endfor %}");
  EXPECT_EQ(Render(**format, {{"user", "say"}, {"assistant", "so"}}), "SAY say;SAY so;");
}

// Control tokens such as <|user|> are often put together around the role.
TEST(ChatFormat, TakesKnownRolesAsTheTemplatesOwnWordsAndNoOthers) {
  const auto format = Load("{% for m in messages %}{{ m.role }} {% endfor %}");
  EXPECT_EQ(Render(**format, {{"system", ""}, {"user", ""}, {"endoftext", ""}, {"tool", ""}}),
            "SYSTEM USER endoftext TOOL ");
}

TEST(ChatFormat, SpellsFirstAndLastTokenAsTheVocabularyDoes) {
  GgufWriter writer = Vocabulary();
  writer.String("tokenizer.chat_template", "{{ bos_token }}{{ eos_token }}")
      .U32("tokenizer.ggml.bos_token_id", 0)
      .U32("tokenizer.ggml.eos_token_id", 1);
  EXPECT_EQ(Render(*Load(writer).value(), {{"user", "x"}}), "<FIRST><LAST>");
}

TEST(ChatFormat, LeavesOutTokensThatTheVocabularyDoesNotHave) {
  EXPECT_EQ(Render(**Load("[{{ bos_token }}{{ eos_token }}]"), {{"user", "x"}}), "[]");
}

TEST(ChatFormat, RefusesAFirstTokenBeyondTheVocabulary) {
  GgufWriter writer = Vocabulary();
  writer.String("tokenizer.chat_template", "x").U32("tokenizer.ggml.bos_token_id", 3);
  const auto format = Load(writer);
  ASSERT_FALSE(format.has_value());
  EXPECT_EQ(format.error().message, "tokenizer.ggml.bos_token_id: 3 is beyond the 3 tokens");
}

TEST(ChatFormat, NamesTheKeyAndThePlaceOfWhatItCannotInterpret) {
  const auto format = Load("a\n{{ messages | pprint }}");
  ASSERT_FALSE(format.has_value());
  EXPECT_EQ(format.error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(format.error().message,
            "tokenizer.chat_template: chat template, line 2, column 15: the filter \"pprint\" is "
            "not known");
}

TEST(ChatFormat, NeedsAMessage) {
  EXPECT_THAT(Render(**Load("x"), {}), HasSubstr("at least one is needed"));
}

TEST(ChatFormat, PassesOnWhyATemplateRefusesMessages) {
  const auto format = Load("{{ raise_exception('Roles must alternate') }}");
  const auto tokens = (*format)->Render(std::vector<ChatMessage>{{"user", "x"}}, ByteTokenizer());
  ASSERT_FALSE(tokens.has_value());
  EXPECT_EQ(tokens.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(tokens.error().message, HasSubstr("refused by the template: Roles must alternate"));
}

}  // namespace
}  // namespace fallow::engine
