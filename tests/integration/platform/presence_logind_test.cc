// The logind source against a private message bus, on which the test plays logind.
#include <gmock/gmock.h>
#include <time.h>

#include <optional>

#include "platform/presence.h"
#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::kBoundedWait;
using fallow::testing::kManyWaits;
using fallow::testing::PlayedService;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

std::uint64_t MicrosecondsAgo(clockid_t clock, std::uint64_t seconds) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 - seconds * 1'000'000;
}

struct PlayedSession {
  std::string id;
  std::string session_class = "user";
  std::string type = "tty";
  bool remote = false;
  std::string remote_host;
  bool idle_hint = false;
  std::uint64_t idle_since = 0;
  std::uint64_t idle_since_monotonic = 0;
  bool active = true;     // in the foreground of its seat
  bool vanishes = false;  // is listed, but ends before it can be asked

  PlayedSession& IdleSince(std::uint64_t seconds) {
    idle_since = MicrosecondsAgo(CLOCK_REALTIME, seconds);
    idle_since_monotonic = MicrosecondsAgo(CLOCK_MONOTONIC, seconds);
    return *this;
  }
};

std::string PathOf(const PlayedSession& session) {
  return "/org/freedesktop/login1/session/_" + session.id;
}

void Describe(const PlayedSession& session, sd_bus_message* reply) {
  sd_bus_message_append(reply, "a{sv}", 12,                                          //
                        "Id", "s", session.id.c_str(),                               //
                        "User", "(uo)", 1000, "/org/freedesktop/login1/user/_1000",  //
                        "Class", "s", session.session_class.c_str(),                 //
                        "Type", "s", session.type.c_str(),                           //
                        "State", "s", session.active ? "active" : "online",          //
                        "Active", "b", static_cast<int>(session.active),             //
                        "Remote", "b", static_cast<int>(session.remote),             //
                        "RemoteHost", "s", session.remote_host.c_str(),              //
                        "LockedHint", "b", 0,                                        //
                        "IdleHint", "b", static_cast<int>(session.idle_hint),        //
                        "IdleSinceHint", "t", session.idle_since,                    //
                        "IdleSinceHintMonotonic", "t", session.idle_since_monotonic);
}

class LogindPresence : public BusTest {
 protected:
  // logind has these sessions, all of anna, from now on.
  void Set(const std::vector<PlayedSession>& sessions) {
    logind_.On("ListSessions", [sessions](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_open_container(reply, 'a', "(susso)");
      for (const PlayedSession& session : sessions) {
        sd_bus_message_append(reply, "(susso)", session.id.c_str(), 1000, "anna", "seat0",
                              PathOf(session).c_str());
      }
      sd_bus_message_close_container(reply);
    });
    logind_.On("GetAll", [sessions](sd_bus_message* call, sd_bus_message* reply) {
      const auto asked =
          std::ranges::find(sessions, std::string(sd_bus_message_get_path(call)), PathOf);
      if (asked == sessions.end() || asked->vanishes) return false;
      Describe(*asked, reply);
      return true;
    });
  }

  PlayedService logind_{"org.freedesktop.login1"};
};

TEST_F(LogindPresence, TellsTheLeastIdleSession) {
  Set({PlayedSession{.id = "1"}.IdleSince(3000), PlayedSession{.id = "2"}.IdleSince(120),
       PlayedSession{.id = "3", .session_class = "background"}.IdleSince(1)});
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  auto reading = (*source)->Read();
  ASSERT_TRUE(reading.known) << reading.detail;
  EXPECT_GE(reading.idle_for, milliseconds(119'000));
  EXPECT_LE(reading.idle_for, milliseconds(130'000));
  EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna (tty)"));

  Set({PlayedSession{.id = "1"}.IdleSince(3000), PlayedSession{.id = "4", .type = "wayland"}});
  reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.idle_for, milliseconds(0)) << "a desktop that never says anything";

  Set({PlayedSession{.id = "4", .type = "wayland", .idle_hint = true}.IdleSince(60)});
  reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_GE(reading.idle_for, milliseconds(59'000));

  Set({});
  reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_EQ(reading.kind, PresenceKind::kInput) << "it answers: other sources may tell";
}

TEST_F(LogindPresence, SessionThatEndsMeanwhileIsLeftOut) {
  Set({PlayedSession{.id = "1", .vanishes = true},
       PlayedSession{.id = "2", .remote = true, .remote_host = "192.0.2.7"}.IdleSince(50)});
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto reading = (*source)->Read();
  ASSERT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.kind, PresenceKind::kRemote);
  EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna from 192.0.2.7 (tty, remote)"));
}

TEST_F(LogindPresence, SilentDesktopIsLeftToTheHelperThatSeesIt) {
  Set({PlayedSession{.id = "c2", .type = "wayland"}});
  logind_.Start();
  std::string helped;
  const auto source = NewLogindPresenceSource(
      *loop_, [&](const std::string& session, std::int64_t user_id, LoginKind kind) {
        EXPECT_EQ(kind, LoginKind::kHere);
        EXPECT_EQ(user_id, 1000);
        return session == helped;
      });
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_TRUE((*source)->Read().known);
  helped = "c2";
  EXPECT_FALSE((*source)->Read().known);
  helped = "";
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.idle_for, milliseconds(0)) << "in use again when the helper has gone";
}

TEST_F(LogindPresence, RemoteDesktopIsAskedForAsOne) {
  Set({PlayedSession{.id = "c3", .type = "x11", .remote = true}});
  logind_.Start();
  std::optional<LoginKind> asked;
  const auto source =
      NewLogindPresenceSource(*loop_, [&](const std::string&, std::int64_t, LoginKind kind) {
        asked = kind;
        return false;
      });
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto reading = (*source)->Read();
  EXPECT_EQ(asked, LoginKind::kRemote);
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.idle_for, milliseconds(0));
}

// As light-locker does: the desktop steps back, and the display manager asks for the password.
TEST_F(LogindPresence, LoginScreenInFrontOfADesktopIsInUseUntilASourceSeesItsInput) {
  const std::vector<PlayedSession> locked = {
      PlayedSession{.id = "2", .type = "x11", .idle_hint = true, .active = false}.IdleSince(600),
      PlayedSession{.id = "c1", .session_class = "greeter", .type = "x11"},
      PlayedSession{.id = "3", .session_class = "manager", .type = "unspecified"}};
  Set(locked);
  logind_.Start();
  bool input_devices_are_read = false;
  const auto source =
      NewLogindPresenceSource(*loop_, [&](const std::string&, std::int64_t, LoginKind kind) {
        return kind == LoginKind::kLoginScreen && input_devices_are_read;
      });
  ASSERT_TRUE(source.has_value()) << source.error().message;
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.idle_for, milliseconds(0));
  EXPECT_THAT(reading.detail, HasSubstr("session c1 of anna (x11, login screen)"));

  input_devices_are_read = true;
  EXPECT_FALSE((*source)->Read().known) << "they tell";

  Set({locked[0], locked[2]});  // a display manager that shows none
  reading = (*source)->Read();
  ASSERT_TRUE(reading.known);
  EXPECT_GE(reading.idle_for, milliseconds(599'000));
}

TEST_F(LogindPresence, SilentLogindCostsABoundedWait) {
  Set({PlayedSession{.id = "1"}.IdleSince(50)});
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  logind_.FallSilent();
  PresenceReading reading;
  EXPECT_LT(TimeOf([&] { reading = (*source)->Read(); }), kBoundedWait);
  EXPECT_FALSE(reading.known);
  EXPECT_EQ(reading.kind, PresenceKind::kDistrusted) << "what others tell is not enough";
  EXPECT_THAT(reading.detail, HasSubstr("org.freedesktop.login1 does not answer"));
}

// However many sessions there are: one patience for all of them.
TEST_F(LogindPresence, LogindThatFallsSilentInTheMiddleCostsABoundedWait) {
  std::vector<PlayedSession> sessions;
  for (int i = 0; i < kManyWaits; ++i) sessions.push_back({.id = std::to_string(i)});
  Set(sessions);
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  // The list is the last thing it says.
  logind_.On("GetAll", [this](sd_bus_message*, sd_bus_message*) {
    logind_.FallSilent();
    return false;
  });
  PresenceReading reading;
  EXPECT_LT(TimeOf([&] { reading = (*source)->Read(); }), kBoundedWait);
  EXPECT_FALSE(reading.known);
}

TEST_F(LogindPresence, MoreSessionsThanAPersonHasCannotBeTold) {
  Set(std::vector<PlayedSession>(65, PlayedSession{.id = "1"}));
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().message, "there are more than 64 sessions");
}

TEST_F(LogindPresence, EndAndReturnOfLogindAndOfTheBusAreNoticed) {
  Set({PlayedSession{.id = "1"}.IdleSince(50)});
  logind_.Start();
  const auto source = NewLogindPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  logind_.Stop();
  EXPECT_FALSE((*source)->Read().known);
  EXPECT_FALSE(NewLogindPresenceSource(*loop_).has_value());
  logind_.Start();
  EXPECT_TRUE((*source)->Read().known);
  private_bus_.Kill();
  EXPECT_FALSE((*source)->Read().known);
  logind_.Stop();
  ASSERT_TRUE(private_bus_.Start());
  logind_.Start();
  EXPECT_TRUE((*source)->Read().known);
}

TEST(LogindPresenceSource, NoBusIsUnavailable) {
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
  const auto loop = NewMainLoop();
  const auto source = NewLogindPresenceSource(*loop);
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fallow
