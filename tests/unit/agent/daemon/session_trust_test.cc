#include "agent/daemon/session_trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Optional;

constexpr SteadyTime kStart{1h};

// A helper with one source, whose reports come at once unless said otherwise.
struct Fixture {
  SessionTrust trust;
  std::uint64_t sequence = 0;

  SessionReport Report(SteadyTime at, std::chrono::milliseconds idle_for) {
    return {.sequence = ++sequence,
            .read_at = at,
            .presence = {{.source = "x11 :0", .known = true, .idle_for = idle_for}}};
  }
  std::optional<std::string> Judge(SteadyTime at, std::chrono::milliseconds idle_for) {
    return trust.FindContradiction(Report(at, idle_for), at);
  }
};

TEST(SessionTrust, BelievesIdleTimeThatGrowsWithTheClock) {
  Fixture f;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(f.Judge(kStart + i * 5s, 10min + i * 5s), std::nullopt) << i;
  }
  EXPECT_EQ(f.Judge(kStart + 500s, 0ms), std::nullopt) << "input";
}

TEST(SessionTrust, ForgivesStepsOfTwoSecondsAndNoMore) {
  Fixture f;
  EXPECT_EQ(f.Judge(kStart, 0s), std::nullopt);
  EXPECT_EQ(f.Judge(kStart + 5s, 7s), std::nullopt);
  EXPECT_THAT(f.Judge(kStart + 10s, 12'001ms),
              Optional(HasSubstr("x11 :0 saw its last input 2.0 s before the one it told of")));
}

TEST(SessionTrust, NoticesASourceThatCreeps) {
  Fixture f;
  EXPECT_EQ(f.Judge(kStart, 0s), std::nullopt);
  // By 1 s more than the clock each time.
  EXPECT_EQ(f.Judge(kStart + 5s, 6s), std::nullopt);
  EXPECT_EQ(f.Judge(kStart + 10s, 12s), std::nullopt);
  EXPECT_NE(f.Judge(kStart + 15s, 18s), std::nullopt);
}

TEST(SessionTrust, BelievesAgainWhatIsConsistentSinceTheLie) {
  Fixture f;
  EXPECT_EQ(f.Judge(kStart, 0s), std::nullopt);
  EXPECT_NE(f.Judge(kStart + 5s, 1h), std::nullopt);
  EXPECT_EQ(f.Judge(kStart + 10s, 1h + 5s), std::nullopt);
}

// On a machine that stands still for a while, reports come late and together.
TEST(SessionTrust, ALateReportIsNoLie) {
  Fixture f;
  const SessionReport first = f.Report(kStart, 100s);
  const SessionReport second = f.Report(kStart + 5s, 105s);
  const SteadyTime both_come = kStart + 9s;
  EXPECT_EQ(f.trust.FindContradiction(first, both_come), std::nullopt);
  EXPECT_EQ(f.trust.FindContradiction(second, both_come), std::nullopt);
  EXPECT_EQ(f.Judge(kStart + 10s, 110s), std::nullopt);
}

TEST(SessionTrust, NoticesTheFutureAndTheRepeated) {
  Fixture f;
  SessionReport report = f.Report(kStart + 3s, 0s);
  EXPECT_THAT(f.trust.FindContradiction(report, kStart),
              Optional(HasSubstr("3.0 s in the future")));
  report = f.Report(kStart + 5s, 0s);
  report.seen_input_at = kStart + 7s;
  EXPECT_THAT(f.trust.FindContradiction(report, kStart + 5s),
              Optional(HasSubstr("input 2.0 s in the future")));
  report = f.Report(kStart + 6s, 1s);
  report.sequence = 1;
  EXPECT_THAT(f.trust.FindContradiction(report, kStart + 6s),
              Optional(HasSubstr("report 1 after report 2")));
  report = f.Report(kStart + 4s, 0s);
  EXPECT_THAT(f.trust.FindContradiction(report, kStart + 7s),
              Optional(HasSubstr("2.0 s before its last report")));
}

TEST(SessionTrust, NoticesInputThatEarlierReportsHid) {
  Fixture f;
  EXPECT_EQ(f.Judge(kStart, 10s), std::nullopt);
  SessionReport report = f.Report(kStart + 5s, 0s);
  report.seen_input_at = kStart - 2'001ms;
  EXPECT_THAT(f.trust.FindContradiction(report, kStart + 5s), Optional(HasSubstr("did not tell")));
  report = f.Report(kStart + 6s, 0s);
  report.seen_input_at = kStart + 4s;
  EXPECT_EQ(f.trust.FindContradiction(report, kStart + 6s), std::nullopt);
}

TEST(SessionTrust, SourcesMayDisagreeComeAndGo) {
  Fixture f;
  SessionReport report = f.Report(kStart, 0s);
  report.presence.push_back({.source = "gamepads", .known = true, .idle_for = 1h});
  EXPECT_EQ(f.trust.FindContradiction(report, kStart), std::nullopt);
  EXPECT_EQ(f.Judge(kStart + 5s, 5s), std::nullopt) << "unplugged";
  report = f.Report(kStart + 10s, 10s);
  report.presence.push_back({.source = "gamepads", .known = true, .idle_for = 0s});
  EXPECT_EQ(f.trust.FindContradiction(report, kStart + 10s), std::nullopt) << "plugged in again";
}

}  // namespace
}  // namespace fallow
