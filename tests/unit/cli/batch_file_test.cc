#include "cli/batch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cli/fakes.h"

namespace fallow::cli {
namespace {

TEST(EndpointOf, IsTheFirstLinesUrl) {
  const TemporaryFolder folder;
  const auto endpoint_of = [&](std::string_view text) {
    return EndpointOf(folder.Write("batch.jsonl", text)).value();
  };
  EXPECT_EQ(endpoint_of("{\"url\": \"/v1/embeddings\"}\n{\"url\": \"/v1/chat/completions\"}\n"),
            "/v1/embeddings");
  EXPECT_EQ(endpoint_of("\xEF\xBB\xBF\r\n \r\n{\"url\": \"/v1/embeddings\"}"), "/v1/embeddings");
  EXPECT_EQ(endpoint_of("{\"url\": \"/v1/responses\"}"), "/v1/responses");  // to be refused by name
  for (const char* text : {"", "\n\n", "{", "[]", "7", "{}", "{\"url\": 7}", "\xFF\n"})
    EXPECT_EQ(endpoint_of(text), "/v1/chat/completions") << text;
  EXPECT_EQ(EndpointOf(folder.File("none")).error().code, ErrorCode::kNotFound);
}

TEST(LineWithModel, SetsTheModelAndNothingElse) {
  EXPECT_EQ(
      LineWithModel(
          R"({"custom_id": "a", "body": {"temperature": 0.1, "model": "old", "seed": 18446744073709551615}})",
          "new"),
      R"({"custom_id":"a","body":{"temperature":0.1,"model":"new","seed":18446744073709551615}})");
  EXPECT_EQ(LineWithModel(R"({"body":{"messages":[]}})", "m"),
            R"({"body":{"messages":[],"model":"m"}})");
}

TEST(LineWithModel, LeavesALineThatHasIt) {
  EXPECT_EQ(LineWithModel(R"({ "body": {"model": "m"} })", "m"), std::nullopt);
}

TEST(LineWithModel, LeavesBrokenLinesToTheCoordinator) {
  for (const char* line : {"", "{", "[]", "7", "{\"body\": 1}", "{\"custom_id\": \"x\"}", "\xFF"}) {
    EXPECT_EQ(LineWithModel(line, "m"), std::nullopt) << line;
  }
}

TEST(CopyWithModel, KeepsLinesAndTheirEnds) {
  TemporaryFolder folder;
  const auto source =
      folder.Write("in.jsonl", "{\"body\":{\"model\":\"m\"} }\nbroken\r\n{\"body\":{}}");
  const auto changed = CopyWithModel(source, folder.File("out.jsonl"), "m");
  ASSERT_TRUE(changed.has_value());
  EXPECT_EQ(*changed, 1u);
  EXPECT_EQ(TemporaryFolder::Read(folder.File("out.jsonl")),
            "{\"body\":{\"model\":\"m\"} }\nbroken\r\n{\"body\":{\"model\":\"m\"}}");
}

TEST(CopyWithModel, NamesTheFileItCannotWrite) {
  TemporaryFolder folder;
  const auto source = folder.Write("in.jsonl", "x\n");
  const auto copied = CopyWithModel(source, folder.File("none/out.jsonl"), "m");
  ASSERT_FALSE(copied.has_value());
  EXPECT_THAT(copied.error().message, testing::HasSubstr("none/out.jsonl"));
}

}  // namespace
}  // namespace fallow::cli
