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

TEST_F(FleetCommands, ListDevicesShowsStateAndReason) {
  api_.Answer("GET /api/devices", Json{{"data",
                                        {{{"id", "dev_1"},
                                          {"hostname", "anna\x1b[2J"},
                                          {"state", "in_use"},
                                          {"reason", "the owner is at the machine"},
                                          {"backend", "vulkan"},
                                          {"processor", "llvmpipe"},
                                          {"tokens_per_second", 512.4},
                                          {"yields", {{"p50_ms", 8.24}, {"p99_ms", 31.4}}},
                                          {"completed_requests", 1200},
                                          {"last_seen_at", 1'799'999'880}}}}});
  EXPECT_EQ(ListDevices(MakeSession()).value(), kExitDone);
  EXPECT_THAT(console_.printed,
              HasSubstr("anna?[2J  in_use  the owner is at the machine  vulkan llvmpipe"));
  EXPECT_THAT(console_.printed, HasSubstr("512  8.2 ms, 31 ms     1,200  2 min 00 s ago"));
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
  EXPECT_THAT(console_.printed, HasSubstr("0.0   not measured"));
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
