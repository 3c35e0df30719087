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
  return {.id = "2", .user = "anna", .session_class = "user", .type = type, .active = true};
}

LoginSession SeenElsewhere(LoginSession session) {
  session.seen_elsewhere = true;
  return session;
}

PresenceReading Judge(const std::vector<LoginSession>& sessions) {
  return JudgeSessions(sessions, kNow);
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

TEST(SessionRules, RemoteSessionThatTellsMostNamesUserAndHost) {
  LoginSession remote = Terminal(minutes(1));
  remote.remote = true;
  remote.remote_host = "office.example";
  auto reading = Judge({Terminal(minutes(2)), remote});
  EXPECT_EQ(reading.kind, PresenceKind::kRemote);
  EXPECT_EQ(reading.detail, "session 7 of anna from office.example (tty, remote)");

  reading = Judge({remote, Terminal(minutes(0))});
  EXPECT_EQ(reading.kind, PresenceKind::kInput) << "somebody is here";
  reading = Judge({Terminal(minutes(1)), remote});
  EXPECT_EQ(reading.kind, PresenceKind::kRemote) << "of two alike the less expected";
  reading = Judge({SeenElsewhere(Desktop("wayland")), remote});
  ExpectIdle(reading, minutes(0));
  EXPECT_EQ(reading.kind, PresenceKind::kRemote);
}

TEST(SessionRules, LockIsNoProofOfAbsence) {
  LoginSession locked = Desktop("wayland");
  locked.locked = true;
  ExpectIdle(Judge({locked}), minutes(0));
  locked.idle_since = kNow - minutes(20);
  ExpectIdle(Judge({locked}), minutes(0));
  locked.idle_hint = true;
  ExpectIdle(Judge({locked}), minutes(20));
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
  ExpectIdle(Judge({Desktop("wayland"), SeenElsewhere(Desktop("x11"))}), minutes(0));
}

TEST(SessionRules, SilentDesktopIsLeftToTheSourceThatSeesIt) {
  for (const std::string type : {"x11", "wayland"}) {
    const auto reading = Judge({SeenElsewhere(Desktop(type))});
    EXPECT_FALSE(reading.known);
    EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna (" + type + ")"));
  }
}

TEST(SessionRules, DesktopThatSaysWhenItIsIdleIsHeardThoughOthersSeeItToo) {
  LoginSession desktop = SeenElsewhere(Desktop("wayland"));
  desktop.idle_since = kNow - minutes(20);
  ExpectIdle(Judge({desktop}), minutes(0));
  desktop.idle_hint = true;
  ExpectIdle(Judge({desktop}), minutes(20));
}

TEST(SessionRules, BesideAnUnseenSessionOnlyRecentInputProvesAnything) {
  EXPECT_FALSE(Judge({SeenElsewhere(Desktop("x11")), Terminal(minutes(6))}).known);
  ExpectIdle(Judge({SeenElsewhere(Desktop("x11")), Terminal(minutes(4))}), minutes(0));
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

TEST(SessionRules, ConsoleThatShowsGraphicsCountsAsInUseUnlessAnotherSourceSeesIt) {
  LoginSession console = Terminal(minutes(90));
  console.console_hides_input = true;
  ExpectIdle(Judge({console}), minutes(0));
  EXPECT_FALSE(Judge({SeenElsewhere(console)}).known);
  console.active = false;
  EXPECT_FALSE(Judge({console}).known);
  ExpectIdle(Judge({console, Terminal(minutes(8))}), minutes(8));
}

LoginSession LoginScreen(const std::string& type = "x11") {
  return {.id = "c1",
          .user = "gdm",
          .session_class = "greeter",
          .type = type,
          .seat = "seat0",
          .active = true};
}

TEST(SessionRules, LoginScreenWhoseInputNobodySeesCountsAsInUse) {
  const auto reading = Judge({LoginScreen(), Terminal(minutes(90))});
  ExpectIdle(reading, minutes(0));
  EXPECT_THAT(reading.detail, HasSubstr("session c1 of gdm (x11, login screen)"));
  ExpectIdle(Judge({LoginScreen("unspecified")}), minutes(0));
}

TEST(SessionRules, LoginScreenIsNobodysUseWhereItsInputIsSeen) {
  EXPECT_FALSE(Judge({SeenElsewhere(LoginScreen())}).known);
  EXPECT_FALSE(Judge({SeenElsewhere(LoginScreen("unspecified"))}).known);
  LoginSession of_gnome = LoginScreen("wayland");  // it says when it is idle
  of_gnome.idle_since = kNow - minutes(20);
  ExpectIdle(Judge({of_gnome}), minutes(0));
  of_gnome.idle_hint = true;
  ExpectIdle(Judge({of_gnome}), minutes(20));
  LoginSession on_console = LoginScreen("tty");
  on_console.idle_since = kNow - minutes(7);
  ExpectIdle(Judge({on_console}), minutes(7));
}

TEST(SessionRules, LoginScreenThatInputDoesNotReachDoesNotCount) {
  LoginSession behind = LoginScreen();
  behind.active = false;
  ExpectIdle(Judge({behind, Terminal(minutes(9))}), minutes(9));
  LoginSession elsewhere = LoginScreen();
  elsewhere.remote = true;
  ExpectIdle(Judge({elsewhere, Terminal(minutes(9))}), minutes(9));
  LoginSession in_a_window = LoginScreen();
  in_a_window.seat.clear();
  ExpectIdle(Judge({in_a_window, Terminal(minutes(9))}), minutes(9));
}

TEST(SessionRules, ServicesOfAUserAreNobodysUse) {
  for (const char* name : {"background", "background-light", "manager", "manager-early"}) {
    LoginSession service = Terminal(minutes(0));
    service.session_class = name;
    service.idle_since.reset();
    ExpectIdle(Judge({service, Terminal(minutes(9))}), minutes(9));
  }
}

TEST(SessionRules, SessionsOfEveryOtherClassAreSomebodys) {
  for (const char* name : {"user", "user-early", "user-incomplete", "user-light",
                           "user-early-light", "lock-screen", "of-a-later-systemd", ""}) {
    LoginSession session = Terminal(minutes(2));
    session.session_class = name;
    ExpectIdle(Judge({session, Terminal(minutes(9))}), minutes(2));
  }
}

TEST(SessionRules, NobodyLoggedInIsNoProofOfAbsence) {
  EXPECT_FALSE(Judge({}).known);
  LoginSession service = Terminal(minutes(60));
  service.session_class = "background";
  LoginSession leaving = Terminal(minutes(60));
  leaving.closing = true;
  const auto reading = Judge({service, leaving});
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
