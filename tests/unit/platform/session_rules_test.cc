#include "platform/linux/session_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using ::testing::HasSubstr;

constexpr std::chrono::microseconds kNow = std::chrono::hours(100);

LoginSession Terminal(minutes idle) {
  return {.id = "7",
          .user = "anna",
          .session_class = "user",
          .type = "tty",
          .active = true,
          .idle_since = kNow - idle};
}

LoginSession Desktop(const std::string& type) {
  return {.id = "2",
          .user = "anna",
          .session_class = "user",
          .type = type,
          .display = type == "x11" ? ":0" : "",
          .active = true};
}

PresenceReading Judge(const std::vector<LoginSession>& sessions,
                      const std::vector<std::string>& watched = {}) {
  return JudgeSessions(sessions, kNow, watched);
}

void ExpectIdle(const PresenceReading& reading, milliseconds idle) {
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.idle_for, idle) << reading.detail;
}

TEST(SessionRules, TheLeastIdleSessionCounts) {
  ExpectIdle(Judge({Terminal(minutes(90)), Terminal(minutes(4)), Terminal(minutes(30))}),
             minutes(4));
}

TEST(SessionRules, RemoteSessionsCountAsUse) {
  LoginSession remote = Terminal(minutes(1));
  remote.remote = true;
  ExpectIdle(Judge({Terminal(minutes(90)), remote}), minutes(1));
  remote.type = "unspecified";
  remote.idle_since.reset();  // a copy in progress, say: no terminal
  ExpectIdle(Judge({Terminal(minutes(90)), remote}), minutes(0));
}

TEST(SessionRules, DesktopThatSaysItIsIdleIsBelieved) {
  LoginSession desktop = Desktop("wayland");
  desktop.idle_hint = true;
  desktop.idle_since = kNow - minutes(20);
  ExpectIdle(Judge({desktop}), minutes(20));
  desktop.idle_hint = false;
  ExpectIdle(Judge({desktop}), minutes(0));
}

TEST(SessionRules, DesktopThatNeverSaysAnythingCountsAsInUse) {
  ExpectIdle(Judge({Desktop("wayland")}), minutes(0));
  ExpectIdle(Judge({Desktop("x11")}), minutes(0));
  ExpectIdle(Judge({Desktop("x11")}, {":1"}), minutes(0));
  ExpectIdle(Judge({Desktop("wayland"), Terminal(minutes(90))}, {":0"}), minutes(0));
}

TEST(SessionRules, SilentX11DesktopIsLeftToTheSourceThatWatchesIt) {
  for (const std::string display : {":0", ":0.0"}) {
    const auto reading = Judge({Desktop("x11")}, {display});
    EXPECT_FALSE(reading.known);
    EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna (x11)"));
  }
}

TEST(SessionRules, BesideAnUnseenSessionOnlyRecentInputProvesAnything) {
  EXPECT_FALSE(Judge({Desktop("x11"), Terminal(minutes(6))}, {":0"}).known);
  ExpectIdle(Judge({Desktop("x11"), Terminal(minutes(4))}, {":0"}), minutes(0));
}

TEST(SessionRules, BackgroundDesktopDoesNotCountUnlessItSaysItIsIdle) {
  LoginSession background = Desktop("wayland");
  background.active = false;
  EXPECT_FALSE(Judge({background}).known);
  ExpectIdle(Judge({background, Terminal(minutes(9))}), minutes(9));
  background.idle_hint = true;
  background.idle_since = kNow - minutes(3);
  ExpectIdle(Judge({background, Terminal(minutes(9))}), minutes(3));
}

TEST(SessionRules, ConsoleThatShowsGraphicsTellsNothing) {
  LoginSession console = Terminal(minutes(90));
  console.console_hides_input = true;
  EXPECT_FALSE(Judge({console}).known);
  console.active = false;
  EXPECT_FALSE(Judge({console}).known);
  ExpectIdle(Judge({console, Terminal(minutes(8))}), minutes(8));
}

TEST(SessionRules, NobodyLoggedInIsNoProofOfAbsence) {
  EXPECT_FALSE(Judge({}).known);
  LoginSession greeter = Desktop("x11");
  greeter.session_class = "greeter";
  greeter.idle_hint = true;
  greeter.idle_since = kNow - minutes(60);
  LoginSession service = Terminal(minutes(60));
  service.session_class = "background";
  LoginSession leaving = Terminal(minutes(60));
  leaving.closing = true;
  const auto reading = Judge({greeter, service, leaving});
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("nobody is logged in"));
}

TEST(SessionRules, TimeInTheFutureIsNow) {
  LoginSession ahead = Terminal(minutes(0));
  ahead.idle_since = kNow + minutes(5);
  ExpectIdle(Judge({ahead}), minutes(0));
}

}  // namespace
}  // namespace fallow
