// What an embeddings line of a batch file may say, by example: docs/PROTOCOL.md's OpenAI section.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/core/batch_line.h"
#include "coordinator/core/limits.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using testing::HasSubstr;

std::string LineWithBody(const std::string& body) {
  return R"({"custom_id":"a","method":"POST","url":"/v1/embeddings","body":)" + body + "}";
}
std::string LineWithInput(const std::string& input, const std::string& more = "") {
  return LineWithBody(R"({"model":"m","input":)" + input + more + "}");
}

std::vector<EmbeddingInput> InputsOf(const std::string& input) {
  const auto line = ParseBatchLine(LineWithInput(input), kEmbeddingsEndpoint);
  EXPECT_TRUE(line.has_value()) << line.error().message;
  return line ? line->request.inputs : std::vector<EmbeddingInput>{};
}

TEST(EmbeddingsLine, ReadsTheFourKindsOfInput) {
  using Inputs = std::vector<EmbeddingInput>;
  EXPECT_EQ(InputsOf(R"("gr\u00fc\u00dfe")"), (Inputs{{"grüße", {}}}));
  EXPECT_EQ(InputsOf(R"(["a","b"])"), (Inputs{{"a", {}}, {"b", {}}}));
  EXPECT_EQ(InputsOf("[5,0,7.0]"), (Inputs{{"", {5, 0, 7}}}));
  EXPECT_EQ(InputsOf("[[1,2],[2147483647]]"), (Inputs{{"", {1, 2}}, {"", {2147483647}}}));
}

TEST(EmbeddingsLine, ReadsWhatElseItMaySay) {
  const auto line = ParseBatchLine(
      LineWithInput("\"x\"",
                    R"(,"encoding_format":"base64","dimensions":384,"user":"u","seed":null)"),
      kEmbeddingsEndpoint);
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->custom_id, "a");
  EXPECT_EQ(line->model.value, "m");
  EXPECT_EQ(line->vector_encoding, VectorEncoding::kBase64);
  EXPECT_EQ(line->dimensions, 384u);
  EXPECT_TRUE(line->request.messages.empty());
}

TEST(EmbeddingsLine, HasOpenAisDefaults) {
  const auto line = ParseBatchLine(LineWithInput("\"x\""), kEmbeddingsEndpoint);
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->vector_encoding, VectorEncoding::kFloat);
  EXPECT_EQ(line->dimensions, 0u);
}

TEST(EmbeddingsLine, TakesAsManyInputsAsOpenAiDoes) {
  std::string inputs = "\"x\"";
  for (std::size_t i = 1; i < kMaxEmbeddingInputs; ++i) inputs += ",\"x\"";
  EXPECT_EQ(InputsOf("[" + inputs + "]").size(), kMaxEmbeddingInputs);
  const auto line = ParseBatchLine(LineWithInput("[" + inputs + ",\"x\"]"), kEmbeddingsEndpoint);
  ASSERT_FALSE(line.has_value());
  EXPECT_EQ(line.error().param, "body.input");
  EXPECT_THAT(line.error().message, HasSubstr("more than 2048 inputs"));
}

TEST(EmbeddingsLine, NamesWhatIsWrong) {
  struct Case {
    std::string line;
    std::string code;
    std::string param;
    std::string message_part;
  };
  const std::string chat =
      R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}})";
  const Case cases[] = {
      {chat, "invalid_url", "url", "/v1/embeddings"},
      {LineWithBody(R"({"model":"m"})"), "missing_required_parameter", "body.input", ""},
      {LineWithBody(R"({"input":"x"})"), "missing_required_parameter", "body.model", ""},
      {LineWithBody(R"({"model":"m","input":"x","input":"y"})"), "invalid_value", "body", "twice"},
      {LineWithInput("\"\""), "invalid_value", "body.input", "empty string"},
      {LineWithInput("[]"), "invalid_value", "body.input", "empty array"},
      {LineWithInput(R"(["a",""])"), "invalid_value", "body.input[1]", "empty string"},
      {LineWithInput("[[1],[]]"), "invalid_value", "body.input[1]", "empty array"},
      {LineWithInput("null"), "invalid_value", "body.input", "an array of strings"},
      {LineWithInput("{}"), "invalid_value", "body.input", "an array of strings"},
      {LineWithInput("[{}]"), "invalid_value", "body.input", "an array of strings"},
      {LineWithInput(R"(["a",7])"), "invalid_value", "body.input[1]", "must be a string"},
      {LineWithInput(R"([[1],"a"])"), "invalid_value", "body.input[1]", "array of token ids"},
      {LineWithInput("[[1],2]"), "invalid_value", "body.input[1]", "array of token ids"},
      {LineWithInput(R"([1,"a"])"), "invalid_value", "body.input[1]", "token id"},
      {LineWithInput("[1.5]"), "invalid_value", "body.input[0]", "token id"},
      {LineWithInput("[[4],[1,-1]]"), "invalid_value", "body.input[1][1]", "token id"},
      {LineWithInput("[2147483648]"), "invalid_value", "body.input[0]", "token id"},
      {LineWithInput("\"x\"", R"(,"encoding_format":"int8")"), "invalid_value",
       "body.encoding_format", "base64"},
      {LineWithInput("\"x\"", R"(,"dimensions":0)"), "invalid_value", "body.dimensions", "65536"},
      {LineWithInput("\"x\"", R"(,"dimensions":"8")"), "invalid_value", "body.dimensions", ""},
      {LineWithInput("\"x\"", R"(,"messages":[])"), "unsupported_parameter", "body.messages",
       "an embeddings line has"},
      {LineWithInput("\"x\"", R"(,"temperature":0)"), "unsupported_parameter", "body.temperature",
       ""},
      {LineWithInput("\"x\"", R"(,"max_tokens":1)"), "unsupported_parameter", "body.max_tokens",
       ""},
  };
  for (const Case& example : cases) {
    SCOPED_TRACE(example.line);
    const auto line = ParseBatchLine(example.line, kEmbeddingsEndpoint);
    ASSERT_FALSE(line.has_value());
    EXPECT_EQ(line.error().code, example.code) << line.error().message;
    EXPECT_EQ(line.error().param, example.param) << line.error().message;
    EXPECT_THAT(line.error().message, HasSubstr(example.message_part));
  }
}

TEST(EmbeddingsLine, AChatLineTakesNoInput) {
  const auto line = ParseBatchLine(
      R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m",)"
      R"("messages":[{"role":"user","content":"hi"}],"input":"x"}})",
      kChatEndpoint);
  ASSERT_FALSE(line.has_value());
  EXPECT_EQ(line.error().param, "body.input");
  EXPECT_EQ(line.error().code, "unsupported_parameter");
}

}  // namespace
}  // namespace fallow
