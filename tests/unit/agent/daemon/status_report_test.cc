#include "agent/daemon/status_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fallow {
namespace {

using testing::AllOf;
using testing::HasSubstr;

StatusReport Sample() {
  return {
      .status = {.state = DeviceState::kInUse,
                 .reason = "input 4 s ago",
                 .tokens_per_second = 120,
                 .embedding_tokens_per_second = 9000},
      .profile = {.hostname = "attic", .backend = BackendKind::kVulkan, .processor = "llvmpipe"},
      .device = DeviceId("dev_7"),
      .coordinator_url = "https://c:8443",
      .coordinator_trouble = "connection refused",
      .coordinator_heard_ago = std::chrono::seconds(180),
      .decided = {.moment = {},
                  .settings = {},
                  .signals = {.presence = {{.source = "x11 :0",
                                            .known = true,
                                            .idle_for = std::chrono::seconds(4),
                                            .detail = ""},
                                           {.source = "logind",
                                            .known = false,
                                            .idle_for = {},
                                            .detail = "no bus"}},
                              .session = {{.kind = SessionSignalKind::kGameMode,
                                           .source = "gamemode",
                                           .known = true,
                                           .active = true,
                                           .detail = "one game"}}},
                  .before = {},
                  .decision = {.reasons = {{Reason::kInput, "input 4 s ago", ""},
                                           {Reason::kGameMode, "a game runs", ""}}}},
      .helpers =
          {{.user_id = 1000, .process_id = 77, .session = "2", .heard_ago = {}, .trouble = ""}},
      .settings_path = "/home/anna/agent.toml",
      .leases = {{.lease = LeaseId("lease_1"),
                  .job = JobId("batch_1"),
                  .model = ModelId("m"),
                  .request_count = 10,
                  .unfinished_count = 4,
                  .unacknowledged_count = 1,
                  .releasing = true}},
      .finished_request_count = 6,
      .generated_token_count = 60,
      .worker_state = "stopping",
      .worker_process_id = 42,
      .worker_loss_count = 1,
      .worker_trouble = "killed by signal 11",
      .yields = {.count = 12,
                 .p50_ms = 4.2,
                 .p99_ms = 9,
                 .max_ms = 11,
                 .last = Yield{.input_at = SteadyTime(std::chrono::seconds(5)),
                               .freed_at = SteadyTime(std::chrono::milliseconds(5004)),
                               .how = Yield::How::kStopped}},
      .cache_bytes = 1 << 30,
      .cache_max_bytes = std::uint64_t{50} << 30};
}

TEST(StatusReport, TellsAPauseAndWhetherItIsRoots) {
  StatusReport report = Sample();
  const auto pause = [&] { return nlohmann::json::parse(StatusJson(report)).at("pause"); };
  EXPECT_TRUE(pause().is_null());
  report.decided.decision.reasons = {{Reason::kPausedByOwner, "paused", ""}};
  report.decided.signals.paused_until = WallTimeFromUnixMs(5000);
  EXPECT_EQ(pause(), nlohmann::json::parse(
                         R"({"until_ms": 5000, "by_root": false, "by_root_until_ms": null})"));
  report.decided.signals.paused_by_root_until = kPausedWithoutEnd;
  report.decided.signals.paused_until = kPausedWithoutEnd;
  EXPECT_EQ(pause(), nlohmann::json::parse(
                         R"({"until_ms": null, "by_root": true, "by_root_until_ms": null})"));
}

TEST(StatusReport, OnlyWhatTheOwnerPausedIsCalledPaused) {
  StatusReport report = Sample();
  report.status.state = DeviceState::kPaused;
  report.status.reason = "free again";
  report.decided.decision.reasons = {{Reason::kSettling, "free again", ""}};
  EXPECT_THAT(StatusText(StatusJson(report)).value(), testing::StartsWith("waits: free again\n"));
  report.status.reason = "paused by the owner, until told otherwise";
  report.decided.decision.reasons = {{Reason::kPausedByOwner, report.status.reason, ""}};
  EXPECT_THAT(StatusText(StatusJson(report)).value(), testing::StartsWith("paused: paused by"));
}

TEST(StatusReport, TellsWhatAndWhyInWords) {
  const auto text = StatusText(StatusJson(Sample()));
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_THAT(*text, testing::StartsWith("in_use: input 4 s ago\n"));
  EXPECT_THAT(
      *text,
      AllOf(HasSubstr("https://c:8443 (heard from 3 min ago; connection refused)"),
            HasSubstr("dev_7 on attic"), HasSubstr("llvmpipe (vulkan)"),
            HasSubstr("x11 :0: idle for 4 s"), HasSubstr("logind: cannot tell, no bus"),
            HasSubstr("4 of 10 requests to do, being given back"),
            HasSubstr("120 tokens/s, 9000 read for embeddings"),
            HasSubstr("in 4.2 ms, 99 of 100 times in 9.0 ms"),
            HasSubstr("free after 3 min without input"), HasSubstr("also         a game runs"),
            HasSubstr("killed by signal 11"), HasSubstr("1.0 GiB of 50.0 GiB")));
}

TEST(StatusReport, ASourceThatIsNotBelievedIsNotCalledIdle) {
  StatusReport report = Sample();
  report.decided.signals.presence[0].kind = PresenceKind::kDistrusted;
  report.decided.signals.presence[0].detail = "it floods";
  EXPECT_THAT(StatusText(StatusJson(report)).value(), HasSubstr("x11 :0: not believed, it floods"));
}

TEST(StatusReport, AFreshAgentHasNothingToTellYet) {
  const auto text = StatusText(StatusJson({}));
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_THAT(*text, AllOf(HasSubstr("not heard from yet"),
                           HasSubstr("not known before the worker first runs")));
}

TEST(StatusReport, TheAgentOfTheWholeMachineSaysThatItIs) {
  StatusReport report = Sample();
  EXPECT_THAT(*StatusText(StatusJson(report)), testing::Not(HasSubstr("every login")));
  report.whole_system = true;
  EXPECT_THAT(*StatusText(StatusJson(report)),
              HasSubstr("serves       every login of this machine"));
}

TEST(StatusReport, TellsWhichSettingsItFollows) {
  EXPECT_EQ(SettingsPathIn(StatusJson(Sample())), "/home/anna/agent.toml");
  for (const char* other : {"", "[]", "{}", R"({"settings": 5})"})
    EXPECT_EQ(SettingsPathIn(other), "") << other;
}

TEST(StatusReport, WordsOfAWorkerCannotPassForLinesOfOurs) {
  StatusReport report = Sample();
  report.worker_trouble = "gone\nserves       nobody\x1b[2J";
  report.status.reason = "waits\rruns";
  report.profile.processor = "a card\nstate: fine";
  const std::string text = StatusText(StatusJson(report)).value();
  EXPECT_THAT(text, AllOf(HasSubstr("gone?serves       nobody?[2J"), HasSubstr("a card?state"),
                          HasSubstr("waits?runs")));
}

TEST(StatusReport, TellsWhatHoldsUpAnAgentThatMayWork) {
  StatusReport report = Sample();
  report.decided.decision.text = "no input for 5 min";
  const auto held_up = [&](DeviceState state, const char* reason) {
    report.status.state = state;
    report.status.reason = reason;
    return HeldUpBy(StatusJson(report));
  };
  EXPECT_EQ(held_up(DeviceState::kIdle, "no input for 5 min; waiting for work"),
            "idle: waiting for work");
  EXPECT_EQ(held_up(DeviceState::kIdle, "no input for 4 min; fetching"),
            "idle: no input for 4 min; fetching");
  EXPECT_EQ(held_up(DeviceState::kFaulty, "the disk is\nfull"), "faulty: the disk is?full");
  EXPECT_EQ(held_up(DeviceState::kWorking, "no input for 5 min; 3 requests in hand"), "");
  EXPECT_EQ(held_up(DeviceState::kInUse, "input 3 s ago"), "");
  for (const char* other : {"", "[]", "{}", R"({"state": 5})"}) EXPECT_EQ(HeldUpBy(other), "");
  EXPECT_EQ(HeldUpBy(R"({"state": "idle", "policy": []})"), "idle: ");
}

TEST(StatusReport, AnotherAnswerIsAnErrorNotACrash) {
  for (const char* answer :
       {"", "{}", "[]", R"({"error": "an unknown call"})", R"({"state": 5, "reason": []})"}) {
    EXPECT_FALSE(StatusText(answer).has_value()) << answer;
  }
}

}  // namespace
}  // namespace fallow
