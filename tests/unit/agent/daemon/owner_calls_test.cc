#include "agent/daemon/owner_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// What was asked of a daemon.
struct Asked {
  std::string name;
  std::optional<milliseconds> duration;
};

struct Daemon {
  Asked asked;

  std::string Answer(std::string_view call, Caller caller = Caller::kMaster) {
    const auto note = [this](const char* name) {
      return [this, name] {
        asked.name = name;
        return std::string("{}\n");
      };
    };
    return AnswerOwnerCall(call, caller,
                           {.status = note("status"),
                            .why = note("why"),
                            .log = note("log"),
                            .pause =
                                [this](std::optional<milliseconds> duration) {
                                  asked = {"pause", duration};
                                  return std::string("{}\n");
                                },
                            .resume = note("resume"),
                            .stop = note("stop")});
  }
};

TEST(OwnerCalls, EveryCommandReachesItsHandler) {
  for (const char* name : {"status", "why", "log", "resume", "stop"}) {
    Daemon daemon;
    EXPECT_TRUE(CheckAnswer(daemon.Answer(SimpleCall(name))).has_value());
    EXPECT_EQ(daemon.asked.name, name);
  }
}

TEST(OwnerCalls, WhoMayWhat) {
  struct {
    const char* name;
    bool at_seat, stranger;
  } const rows[] = {{"status", true, false}, {"why", true, false},    {"log", true, false},
                    {"pause", true, false},  {"resume", true, false}, {"stop", false, false}};
  for (const auto& row : rows) {
    const auto is_done = [&](Caller caller) {
      Daemon daemon;
      const Status status = CheckAnswer(daemon.Answer(SimpleCall(row.name), caller));
      EXPECT_EQ(daemon.asked.name, status ? row.name : "") << "a refused call does nothing";
      if (!status) {
        EXPECT_THAT(status.error().message, HasSubstr("use sudo"));
        EXPECT_THAT(status.error().message, HasSubstr(row.name));
      }
      return status.has_value();
    };
    EXPECT_TRUE(is_done(Caller::kMaster)) << row.name;
    EXPECT_EQ(is_done(Caller::kAtSeat), row.at_seat) << row.name;
    EXPECT_EQ(is_done(Caller::kStranger), row.stranger) << row.name;
  }
}

TEST(OwnerCalls, RootAndItsOwnUserAreItsMastersWhereverTheyAre) {
  const auto nobody_sits = [](std::int64_t) { return false; };
  const auto anna_sits = [](std::int64_t user_id) { return user_id == 1000; };
  EXPECT_EQ(CallerOf({.user_id = 0, .is_ours = true}, nobody_sits), Caller::kMaster);
  EXPECT_EQ(CallerOf({.user_id = 1000, .is_ours = true}, anna_sits), Caller::kMaster);
  EXPECT_EQ(CallerOf({.user_id = 1000}, anna_sits), Caller::kAtSeat);
  EXPECT_EQ(CallerOf({.user_id = 1001}, anna_sits), Caller::kStranger);
  EXPECT_EQ(CallerOf({.user_id = 1000}, nobody_sits), Caller::kStranger);
}

TEST(OwnerCalls, PausesForATimeOrWithoutEnd) {
  Daemon daemon;
  daemon.Answer(PauseCall(30min));
  EXPECT_EQ(daemon.asked.name, "pause");
  EXPECT_EQ(daemon.asked.duration, 30min);
  daemon.Answer(PauseCall(std::nullopt));
  EXPECT_EQ(daemon.asked.duration, std::nullopt);
}

TEST(OwnerCalls, RefusesPausesOfNoLengthOrOfNoSense) {
  for (const char* call :
       {R"({"call": "pause", "for_ms": 0})", R"({"call": "pause", "for_ms": -5})",
        R"({"call": "pause", "for_ms": 1e30})", R"({"call": "pause", "for_ms": "soon"})",
        R"({"call": "pause", "for_ms": 9223372036854775807})"}) {
    Daemon daemon;
    const Status status = CheckAnswer(daemon.Answer(call));
    ASSERT_FALSE(status.has_value()) << call;
    EXPECT_THAT(status.error().message, HasSubstr("at most"));
    EXPECT_EQ(daemon.asked.name, "") << call;
  }
}

TEST(OwnerCalls, WhatIsNoCallIsAnError) {
  for (const char* call : {"", "{", "[]", "{}", R"({"call": 5})", R"({"call": "dance"})"}) {
    Daemon daemon;
    const Status status = CheckAnswer(daemon.Answer(call));
    ASSERT_FALSE(status.has_value()) << call;
    EXPECT_THAT(status.error().message, HasSubstr("restart it"));
  }
}

TEST(OwnerCalls, ADeedThatARestartWillNotKnowIsToldAsDoneWithAWarning) {
  const std::string kept = DoneAnswer({});
  EXPECT_TRUE(CheckAnswer(kept).has_value());
  EXPECT_EQ(WarningOf(kept), "");
  const std::string lost = DoneAnswer(Fail(ErrorCode::kResourceExhausted, "the disk is full"));
  EXPECT_TRUE(CheckAnswer(lost).has_value()) << "it is paused all the same";
  EXPECT_EQ(WarningOf(lost), "the disk is full");
  EXPECT_EQ(WarningOf("{"), "");
  EXPECT_EQ(NoteOf(kept), "");
  EXPECT_EQ(NoteOf(DoneAnswer({}, "until noon\n")), "until noon?");
}

TEST(OwnerCalls, AnAgentsWordsCannotSteerTheTerminalOfWhoAsks) {
  EXPECT_EQ(CheckAnswer(ErrorAnswer("no\x1b[2J\nyes")).error().message, "no?[2J?yes");
  EXPECT_EQ(WarningOf(DoneAnswer(Fail(ErrorCode::kInternal, "full\nall is well"))),
            "full?all is well");
}

}  // namespace
}  // namespace fallow
