#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "tests/unit/cli/fakes.h"

namespace fallow::cli {
namespace {

using testing::HasSubstr;

class FleetCommands : public testing::Test {
 protected:
  Session MakeSession(bool as_json = false) { return {api_, console_, clock_, as_json}; }

  FakeApi api_;
  FakeConsole console_;
  FixedClock clock_;
};

const Json kModel{{"id", "field-normalizer"},
                  {"digest", "abcd"},
                  {"size_bytes", 2'675'968},
                  {"created_at", 1'800'000'000},
                  {"card",
                   {{"architecture", "llama"},
                    {"name", "Field normalizer"},
                    {"parameter_count", 2'500'000},
                    {"context_length", 256},
                    {"layer_count", 6},
                    {"embedding_length", 256},
                    {"vocabulary_size", 270},
                    {"weight_types", {"F32", "Q8_0"}},
                    {"tokenizer", "gpt2"},
                    {"chat", "chatml"}}}};

TEST_F(FleetCommands, AddModelTakesItsNameFromTheFile) {
  TemporaryFolder folder;
  api_.Answer("PUT /api/models/tiny.q8", kModel);
  EXPECT_EQ(AddModel(MakeSession(), folder.Write("tiny.q8.gguf", "GGUF"), "").value(), kExitDone);
  EXPECT_EQ(api_.uploaded, "GGUF");
  EXPECT_THAT(console_.printed, HasSubstr("llama"));
}

TEST_F(FleetCommands, AddModelNamesTheFileThatWasRefused) {
  TemporaryFolder folder;
  api_.Answer("PUT /api/models/x",
              Fail(ErrorCode::kInvalidArgument, "tensor 3: offset beyond the file"));
  const auto status = AddModel(MakeSession(), folder.Write("bad.gguf", "GGUF"), "x");
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("bad.gguf: tensor 3: offset beyond the file"));
  EXPECT_FALSE(AddModel(MakeSession(), folder.File("none.gguf"), "x").has_value());
}

TEST_F(FleetCommands, ShowModelSaysWhatItIs) {
  api_.Answer("GET /api/models", Json{{"data", {kModel}}});
  EXPECT_EQ(ShowModel(MakeSession(), "field-normalizer").value(), kExitDone);
  EXPECT_THAT(console_.printed, HasSubstr("weights       F32 Q8_0\n"));
  EXPECT_THAT(console_.printed, HasSubstr("parameters    2,500,000\n"));
  EXPECT_EQ(ShowModel(MakeSession(), "other").error().code, ErrorCode::kNotFound);
}

TEST_F(FleetCommands, ListModelsIsATable) {
  api_.Answer("GET /api/models", Json{{"data", {kModel}}});
  EXPECT_EQ(ListModels(MakeSession()).value(), kExitDone);
  EXPECT_THAT(console_.printed,
              HasSubstr("field-normalizer  llama              2.5 M      256  F32 Q8_0  2.7 MB"));
}

TEST_F(FleetCommands, ListDevicesShowsStateAndReason) {
  api_.Answer("GET /api/devices", Json{{"data",
                                        {{{"id", "dev_1"},
                                          {"hostname", "anna\x1b[2J"},
                                          {"state", "in_use"},
                                          {"reason", "the owner is at the machine"},
                                          {"backend", "vulkan"},
                                          {"processor", "llvmpipe"},
                                          {"tokens_per_second", 512.4},
                                          {"completed_requests", 1200},
                                          {"last_seen_at", 1'799'999'880}}}}});
  EXPECT_EQ(ListDevices(MakeSession()).value(), kExitDone);
  EXPECT_THAT(console_.printed,
              HasSubstr("anna?[2J  in_use  the owner is at the machine  vulkan llvmpipe"));
  EXPECT_THAT(console_.printed, HasSubstr("512     1,200  2 min 00 s ago"));
}

TEST_F(FleetCommands, ListDevicesSaysThatABackendIsNotKnownYet) {
  api_.Answer("GET /api/devices", Json{{"data",
                                        {{{"id", "dev_1"},
                                          {"hostname", "attic"},
                                          {"state", "idle"},
                                          {"reason", "new"},
                                          {"backend", nullptr},
                                          {"processor", ""}}}}});
  EXPECT_EQ(ListDevices(MakeSession()).value(), kExitDone);
  EXPECT_THAT(console_.printed, HasSubstr("new     not known yet"));
}

TEST_F(FleetCommands, EmptyListsSayHowToBegin) {
  for (const char* path : {"GET /api/models", "GET /api/devices"})
    api_.Answer(path, Json{{"data", Json::array()}});
  EXPECT_EQ(ListModels(MakeSession()).value(), kExitDone);
  EXPECT_EQ(ListDevices(MakeSession()).value(), kExitDone);
  EXPECT_THAT(console_.AllNotes(), HasSubstr("fallow models add"));
  EXPECT_THAT(console_.AllNotes(), HasSubstr("fallow join-link"));
  EXPECT_EQ(console_.printed, "");
}

TEST_F(FleetCommands, AddKeyShowsTheSecretOnce) {
  api_.Answer("POST /api/keys", Json{{"id", "key_1"}, {"secret", "sk-fallow-new"}});
  EXPECT_EQ(AddKey(MakeSession(), {.name = "anna"}).value(), kExitDone);
  EXPECT_EQ(console_.printed, "sk-fallow-new\n");
  EXPECT_EQ(*api_.calls[0].body, (Json{{"name", "anna"}, {"role", "submitter"}}));
}

TEST_F(FleetCommands, RemovingSaysWhat) {
  api_.Answer("DELETE /api/models/org%2Fm", Json());
  EXPECT_EQ(RemoveModel(MakeSession(), "org/m").value(), kExitDone);
  EXPECT_EQ(console_.AllNotes(), "removed org/m\n");
}

TEST_F(FleetCommands, JoinLinkIsPrintedAloneForScripts) {
  api_.Answer("GET /api/join", Json{{"link", "https://h:1/#join=T&pin=P"}});
  EXPECT_EQ(ShowJoinLink(MakeSession(), false).value(), kExitDone);
  EXPECT_EQ(console_.printed, "https://h:1/#join=T&pin=P\n");
}

}  // namespace
}  // namespace fallow::cli
