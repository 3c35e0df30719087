// What a line of a batch file may say, by example: docs/PROTOCOL.md's OpenAI section.
#include "coordinator/core/batch_line.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/core/limits.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using testing::HasSubstr;

constexpr std::string_view kChat = "/v1/chat/completions";

std::string LineWithBody(const std::string& body) {
  return R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":)" + body + "}";
}
// `more` begins with a comma.
std::string LineWith(const std::string& more) {
  return LineWithBody(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" + more + "}");
}
std::string LineWithMessages(const std::string& messages) {
  return LineWithBody(R"({"model":"m","messages":)" + messages + "}");
}

TEST(BatchLine, ReadsAllThatARequestMaySay) {
  const auto line = ParseBatchLine(
      LineWith(R"(,"max_completion_tokens":32,"temperature":0.5,"top_p":0.9,"top_k":40,)"
               R"("seed":-7,"stop":["\n","END"],"n":1,"stream":false,"user":"u","store":true)"),
      kChat);
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->custom_id, "a");
  EXPECT_EQ(line->model.value, "m");
  EXPECT_TRUE(line->has_seed);
  const InferenceRequest& request = line->request;
  EXPECT_EQ(request.messages, (std::vector<ChatMessage>{{"user", "hi"}}));
  EXPECT_EQ(request.max_tokens, 32u);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"\n", "END"}));
  EXPECT_EQ(request.sampling, (Sampling{0.5f, 0.9f, 40, static_cast<std::uint64_t>(-7)}));
}

TEST(BatchLine, HasOpenAisDefaults) {
  const auto line = ParseBatchLine(LineWith(""), kChat);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->request.sampling, Sampling{});
  EXPECT_EQ(line->request.max_tokens, 0u);
  EXPECT_FALSE(line->has_seed);
}

TEST(BatchLine, JoinsTextPartsAndTreatsDeveloperAsSystem) {
  const auto line = ParseBatchLine(
      LineWithMessages(R"([{"role":"developer","content":[{"type":"text","text":"a"},)"
                       R"({"text":"\ud83d\ude00","type":"text"}]},{"role":"user","content":""}])"),
      kChat);
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->request.messages[0], (ChatMessage{"system", "a\xF0\x9F\x98\x80"}));
}

struct Case {
  std::string line;
  std::string code;
  std::string param;
  std::string message_part;
};

TEST(BatchLine, NamesWhatIsWrong) {
  const std::string deep(100, '[');
  const std::string deep_end(100, ']');
  const Case cases[] = {
      {"", "invalid_json_line", "", "not valid JSON"},
      {"{", "invalid_json_line", "", "not valid JSON"},
      {"[]", "invalid_json_line", "", "not a JSON object"},
      {"{\"a\":\"\xff\"}", "invalid_json_line", "", "UTF-8"},
      {"{\"a\":\"\xC3\"}", "invalid_json_line", "", "UTF-8"},
      {LineWith("") + " {}", "invalid_json_line", "", ""},
      {LineWith(",\"logit_bias\":" + deep + deep_end), "invalid_json_line", "", "deeper"},
      {R"({"method":"POST","url":"/v1/chat/completions","body":{}})", "missing_required_parameter",
       "custom_id", "custom_id is required"},
      {R"({"custom_id":"a","url":"/v1/chat/completions","body":{}})", "missing_required_parameter",
       "method", ""},
      {R"({"custom_id":"a","method":"POST","body":{}})", "missing_required_parameter", "url", ""},
      {R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions"})",
       "missing_required_parameter", "body", ""},
      {R"({"custom_id":7,"method":"POST","url":"/v1/chat/completions","body":{}})", "invalid_value",
       "custom_id", ""},
      {R"({"custom_id":"","method":"POST","url":"/v1/chat/completions","body":{}})",
       "invalid_value", "custom_id", ""},
      {R"({"custom_id":"a\u0000","method":"POST","url":"/v1/chat/completions","body":{}})",
       "invalid_value", "custom_id", "control"},
      {fmt::format(
           R"({{"custom_id":"{}","method":"POST","url":"/v1/chat/completions","body":{{}}}})",
           std::string(kMaxCustomIdBytes + 1, 'x')),
       "invalid_value", "custom_id", "512"},
      {R"({"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{}})",
       "invalid_method", "method", ""},
      {R"({"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}})", "invalid_url",
       "url", "/v1/chat/completions"},
      {R"({"custom_id":"a","custom_id":"b"})", "invalid_value", "custom_id", "twice"},
      {R"({"custom_id":"a","extra":1})", "unsupported_parameter", "extra", ""},
      {LineWithBody("[]"), "invalid_value", "body", "object"},
      {LineWithBody(R"({"messages":[{"role":"user","content":"hi"}]})"),
       "missing_required_parameter", "body.model", ""},
      {LineWithBody(R"({"model":"m"})"), "missing_required_parameter", "body.messages", ""},
      {LineWith(R"(,"model":"m")"), "invalid_value", "body", "twice"},
      {LineWithMessages("[]"), "invalid_value", "body.messages", "empty"},
      {LineWithMessages("{}"), "invalid_value", "body.messages", "array"},
      {LineWithMessages("[7]"), "invalid_value", "body.messages[0]", "object"},
      {LineWithMessages(R"([{"role":"tool","content":"x"}])"), "invalid_value",
       "body.messages[0].role", "tool"},
      {LineWithMessages(R"([{"role":"user"}])"), "missing_required_parameter",
       "body.messages[0].content", ""},
      {LineWithMessages(R"([{"content":"x"}])"), "missing_required_parameter",
       "body.messages[0].role", ""},
      {LineWithMessages(R"([{"role":"user","content":null}])"), "invalid_value",
       "body.messages[0].content", ""},
      {LineWithMessages(R"([{"role":"user","content":"x","name":"n"}])"), "unsupported_parameter",
       "body.messages[0].name", ""},
      {LineWithMessages(R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])"),
       "unsupported_parameter", "body.messages[0].content[0]", "text"},
      {LineWithMessages(R"([{"role":"user","content":[{"type":"text"}]}])"),
       "missing_required_parameter", "body.messages[0].content[0].text", ""},
      {LineWith(R"(,"max_tokens":0)"), "invalid_value", "body.max_tokens", "1048576"},
      {LineWith(R"(,"max_tokens":1.5)"), "invalid_value", "body.max_tokens", ""},
      {LineWith(R"(,"max_tokens":"9")"), "invalid_value", "body.max_tokens", ""},
      {LineWith(R"(,"max_tokens":1,"max_completion_tokens":2)"), "invalid_value",
       "body.max_completion_tokens", "differ"},
      {LineWith(R"(,"temperature":2.1)"), "invalid_value", "body.temperature", "at most 2"},
      {LineWith(R"(,"temperature":-0.1)"), "invalid_value", "body.temperature", ""},
      {LineWith(R"(,"top_p":0)"), "invalid_value", "body.top_p", "above 0"},
      {LineWith(R"(,"top_p":1e-300)"), "invalid_value", "body.top_p", "too small"},
      {LineWith(R"(,"top_k":-1)"), "invalid_value", "body.top_k", ""},
      {LineWith(R"(,"seed":1.5)"), "invalid_value", "body.seed", ""},
      {LineWith(R"(,"stop":[])"
                R"(,"n":2)"),
       "unsupported_parameter", "body.n", "one answer"},
      {LineWith(R"(,"stop":["a","b","c","d","e"])"), "invalid_value", "body.stop", "4"},
      {LineWith(R"(,"stop":"")"), "invalid_value", "body.stop", ""},
      {LineWith(R"(,"stop":[7])"), "invalid_value", "body.stop", ""},
      {LineWith(R"(,"stream":true)"), "unsupported_parameter", "body.stream", ""},
      {LineWith(R"(,"presence_penalty":0.5)"), "unsupported_parameter", "body.presence_penalty",
       ""},
      {LineWith(R"(,"tools":[{"type":"function"}])"), "unsupported_parameter", "body.tools", ""},
      {LineWith(R"(,"response_format":{"type":"json_object"})"), "unsupported_parameter",
       "body.response_format", ""},
      {LineWith(R"(,"logprobs":true)"), "unsupported_parameter", "body.logprobs", ""},
      {LineWith(R"(,"min_p":0.1)"), "unsupported_parameter", "body.min_p", "change the answer"},
      {std::string(kMaxBatchLineBytes + 1, ' '), "line_too_long", "", "1048576"},
  };
  for (const Case& example : cases) {
    SCOPED_TRACE(example.line.substr(0, 200));
    const auto line = ParseBatchLine(example.line, kChat);
    ASSERT_FALSE(line.has_value());
    EXPECT_EQ(line.error().code, example.code) << line.error().message;
    EXPECT_EQ(line.error().param, example.param) << line.error().message;
    EXPECT_THAT(line.error().message, HasSubstr(example.message_part));
  }
}

TEST(BatchLine, AllowsFieldsThatChangeNothing) {
  for (const char* more :
       {R"(,"user":"x","metadata":{"a":"b"},"service_tier":"auto")", R"(,"max_tokens":null)",
        R"(,"min_p":null)", R"(,"presence_penalty":0,"frequency_penalty":0.0)",
        R"(,"tools":[],"tool_choice":"none")", R"(,"response_format":{"type":"text"})",
        R"(,"logprobs":false,"top_logprobs":0)", R"(,"logit_bias":{})", R"(,"modalities":["text"])",
        R"(,"max_tokens":32.0)", R"(,"max_tokens":8,"max_completion_tokens":8)", R"(,"stop":[])"}) {
    const auto line = ParseBatchLine(LineWith(more), kChat);
    EXPECT_TRUE(line.has_value()) << more << ": " << line.error().message;
  }
}

// One line's parse must leave nothing for the next: the parser's buffers are kept.
TEST(BatchLine, ForgetsTheLineBefore) {
  const auto long_line = ParseBatchLine(
      LineWithMessages(R"([{"role":"user","content":")" + std::string(100'000, 'x') + "\"}]"),
      kChat);
  ASSERT_TRUE(long_line.has_value());
  EXPECT_FALSE(ParseBatchLine("{", kChat).has_value());
  const auto line = ParseBatchLine(LineWith(""), kChat);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->request.messages[0].content, "hi");
}

}  // namespace
}  // namespace fallow
