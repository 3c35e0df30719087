// The logind source against a private message bus, on which the test plays logind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>

#include "platform/presence.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::FindProgram;
using fallow::testing::ServerProcess;
using fallow::testing::TemporaryFolder;
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
  bool idle_hint = false;
  std::uint64_t idle_since = 0;
  std::uint64_t idle_since_monotonic = 0;
  bool vanishes = false;  // is listed, but ends before it can be asked

  PlayedSession& IdleSince(std::uint64_t seconds) {
    idle_since = MicrosecondsAgo(CLOCK_REALTIME, seconds);
    idle_since_monotonic = MicrosecondsAgo(CLOCK_MONOTONIC, seconds);
    return *this;
  }
};

// Plays org.freedesktop.login1 on a thread of its own.
class PlayedLogind {
 public:
  explicit PlayedLogind(std::vector<PlayedSession> sessions) : sessions_(std::move(sessions)) {
    EXPECT_GE(sd_bus_open_system(&bus_), 0);
    EXPECT_GE(sd_bus_add_filter(bus_, nullptr, OnMessage, this), 0);
    EXPECT_GE(sd_bus_request_name(bus_, "org.freedesktop.login1", 0), 0);
    thread_ = std::thread([this] {
      while (!ending_) {
        if (sd_bus_process(bus_, nullptr) == 0) sd_bus_wait(bus_, 10'000);
      }
    });
  }
  ~PlayedLogind() {
    ending_ = true;
    thread_.join();
    sd_bus_flush_close_unref(bus_);
  }
  PlayedLogind(const PlayedLogind&) = delete;
  PlayedLogind& operator=(const PlayedLogind&) = delete;

  void Set(std::vector<PlayedSession> sessions) {
    const std::lock_guard lock(mutex_);
    sessions_ = std::move(sessions);
  }
  void FallSilent() { silent_ = true; }

 private:
  static int OnMessage(sd_bus_message* message, void* self, sd_bus_error*) {
    return static_cast<PlayedLogind*>(self)->Answer(message);
  }

  int Answer(sd_bus_message* message) {
    if (sd_bus_message_is_method_call(message, nullptr, nullptr) <= 0) return 0;
    if (silent_) return 1;
    const std::lock_guard lock(mutex_);
    if (sd_bus_message_is_method_call(message, "org.freedesktop.login1.Manager", "ListSessions")) {
      return List(message);
    }
    const std::string path = sd_bus_message_get_path(message);
    for (const PlayedSession& session : sessions_) {
      if (path == PathOf(session) && !session.vanishes) return Describe(message, session);
    }
    return sd_bus_reply_method_errorf(message, "org.freedesktop.DBus.Error.UnknownObject",
                                      "Unknown object '%s'.", path.c_str());
  }

  int List(sd_bus_message* call) {
    sd_bus_message* reply = nullptr;
    sd_bus_message_new_method_return(call, &reply);
    sd_bus_message_open_container(reply, 'a', "(susso)");
    for (const PlayedSession& session : sessions_) {
      sd_bus_message_append(reply, "(susso)", session.id.c_str(), 1000, "anna", "seat0",
                            PathOf(session).c_str());
    }
    sd_bus_message_close_container(reply);
    return Send(reply);
  }

  int Describe(sd_bus_message* call, const PlayedSession& session) {
    sd_bus_message* reply = nullptr;
    sd_bus_message_new_method_return(call, &reply);
    sd_bus_message_append(reply, "a{sv}", 11,                                          //
                          "Id", "s", session.id.c_str(),                               //
                          "User", "(uo)", 1000, "/org/freedesktop/login1/user/_1000",  //
                          "Class", "s", session.session_class.c_str(),                 //
                          "Type", "s", session.type.c_str(),                           //
                          "State", "s", "active",                                      //
                          "Active", "b", 1,                                            //
                          "Remote", "b", static_cast<int>(session.remote),             //
                          "LockedHint", "b", 0,                                        //
                          "IdleHint", "b", static_cast<int>(session.idle_hint),        //
                          "IdleSinceHint", "t", session.idle_since,                    //
                          "IdleSinceHintMonotonic", "t", session.idle_since_monotonic);
    return Send(reply);
  }

  static int Send(sd_bus_message* reply) {
    const int status = sd_bus_send(nullptr, reply, nullptr);
    sd_bus_message_unref(reply);
    return status < 0 ? status : 1;
  }
  static std::string PathOf(const PlayedSession& session) {
    return "/org/freedesktop/login1/session/_" + session.id;
  }

  std::mutex mutex_;
  std::vector<PlayedSession> sessions_;  // guarded by mutex_
  std::atomic<bool> ending_ = false;
  std::atomic<bool> silent_ = false;
  sd_bus* bus_ = nullptr;
  std::thread thread_;
};

class LogindPresence : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string daemon = FindProgram("dbus-daemon");
    if (daemon.empty()) GTEST_SKIP() << "dbus-daemon is not installed";
    const std::string config = folder_.path() + "/bus.conf";
    std::ofstream(config) << "<busconfig><type>session</type><listen>unix:dir=" << folder_.path()
                          << "</listen><policy context=\"default\"><allow send_destination=\"*\"/>"
                             "<allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>";
    bus_ = std::make_unique<ServerProcess>(std::vector<std::string>{
        daemon, "--nofork", "--nopidfile", "--config-file=" + config, "--print-address=3"});
    const std::string address = bus_->AwaitAnnouncement();
    ASSERT_FALSE(address.empty()) << "dbus-daemon did not start";
    setenv("DBUS_SYSTEM_BUS_ADDRESS", address.c_str(), 1);
  }
  void TearDown() override { unsetenv("DBUS_SYSTEM_BUS_ADDRESS"); }

  TemporaryFolder folder_;
  std::unique_ptr<ServerProcess> bus_;
};

TEST_F(LogindPresence, TellsTheLeastIdleSession) {
  PlayedLogind logind({PlayedSession{.id = "1"}.IdleSince(3000),
                       PlayedSession{.id = "2"}.IdleSince(120),
                       PlayedSession{.id = "3", .session_class = "background"}.IdleSince(1)});
  const auto source = NewLogindPresenceSource();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  auto reading = (*source)->Read();
  ASSERT_TRUE(reading.known) << reading.detail;
  EXPECT_GE(reading.idle_for, milliseconds(119'000));
  EXPECT_LE(reading.idle_for, milliseconds(130'000));
  EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna (tty)"));

  logind.Set(
      {PlayedSession{.id = "1"}.IdleSince(3000), PlayedSession{.id = "4", .type = "wayland"}});
  reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_EQ(reading.idle_for, milliseconds(0)) << "a desktop that never says anything";

  logind.Set({PlayedSession{.id = "4", .type = "wayland", .idle_hint = true}.IdleSince(60)});
  reading = (*source)->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_GE(reading.idle_for, milliseconds(59'000));

  logind.Set({});
  EXPECT_FALSE((*source)->Read().known);
}

TEST_F(LogindPresence, SessionThatEndsMeanwhileIsLeftOut) {
  PlayedLogind logind({PlayedSession{.id = "1", .vanishes = true},
                       PlayedSession{.id = "2", .remote = true}.IdleSince(50)});
  const auto source = NewLogindPresenceSource();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto reading = (*source)->Read();
  ASSERT_TRUE(reading.known) << reading.detail;
  EXPECT_THAT(reading.detail, HasSubstr("session 2 of anna (tty, remote)"));
}

TEST_F(LogindPresence, SilentLogindCostsABoundedWait) {
  PlayedLogind logind({PlayedSession{.id = "1"}.IdleSince(50)});
  const auto source = NewLogindPresenceSource();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  logind.FallSilent();
  const auto start = std::chrono::steady_clock::now();
  const auto reading = (*source)->Read();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1000));
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("logind does not answer"));
}

TEST_F(LogindPresence, LogindsEndAndReturnAreNoticed) {
  auto logind = std::make_unique<PlayedLogind>(
      std::vector<PlayedSession>{PlayedSession{.id = "1"}.IdleSince(50)});
  const auto source = NewLogindPresenceSource();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  logind = nullptr;
  EXPECT_FALSE((*source)->Read().known);
  EXPECT_FALSE(NewLogindPresenceSource().has_value());
  logind = std::make_unique<PlayedLogind>(
      std::vector<PlayedSession>{PlayedSession{.id = "1"}.IdleSince(50)});
  EXPECT_TRUE((*source)->Read().known);
  bus_->Kill();
  EXPECT_FALSE((*source)->Read().known);
}

TEST(LogindPresenceSource, NoBusIsUnavailable) {
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
  const auto source = NewLogindPresenceSource();
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fallow
