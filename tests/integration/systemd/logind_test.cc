// What our sources read of a real systemd-logind. The same sources against a played one, which can
// also hang and lie: tests/integration/platform.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <stdlib.h>

#include <utility>
#include <vector>

#include "platform/presence.h"
#include "platform/session_signals.h"
#include "platform/sleep_watch.h"
#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/systemd/machine.h"
#include "tests/integration/systemd/real_login.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using fallow::testing::FindProgram;
using fallow::testing::kAnna;
using fallow::testing::RealLogin;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Of the machine that we are in.
void Do(const std::string& command) {
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

std::unique_ptr<PresenceSource> OpenPresence(MainLoop& loop, SeenElsewhere seen = nullptr) {
  auto source = NewLogindPresenceSource(loop, std::move(seen));
  EXPECT_TRUE(source.has_value()) << source.error().message;
  return source ? *std::move(source) : nullptr;
}

void ExpectUnknown(PresenceSource& source, const std::string& reason) {
  const auto reading = source.Read();
  EXPECT_FALSE(reading.known) << reading.detail;
  EXPECT_THAT(reading.detail, HasSubstr(reason));
}
void ExpectInUse(PresenceSource& source, const std::string& reason) {
  const auto reading = source.Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.idle_for, 0ms) << reading.detail;
  EXPECT_THAT(reading.detail, HasSubstr(reason));
}

TEST_INSIDE_MACHINE(RealLogindPresence, BackgroundLoginsAreNobody) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  ExpectUnknown(*source, "nobody is logged in");
  const RealLogin cron({.type = "unspecified", .session_class = "background"});
  ExpectUnknown(*source, "nobody is logged in");
}

TEST_INSIDE_MACHINE(RealLogindPresence, LoginScreenIsLeftToTheInputDevices) {
  const auto loop = NewMainLoop();
  bool devices_tell = false;
  const auto source = OpenPresence(*loop, [&](const std::string&, std::int64_t, LoginKind kind) {
    return kind == LoginKind::kLoginScreen && devices_tell;
  });
  const RealLogin greeter({.session_class = "greeter", .seat = "seat0"});
  ExpectInUse(*source, "login screen");
  devices_tell = true;
  ExpectUnknown(*source, "login screen");
}

TEST_INSIDE_MACHINE(RealLogindPresence, DesktopIsIdleSinceItSaidSo) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  RealLogin desktop({.seat = "seat0"});
  ExpectInUse(*source, "of anna (wayland): its desktop never says when it is idle");
  desktop.SetIdleHint(true);
  desktop.SetLockedHint(true);
  ASSERT_TRUE(RunUntil(*loop, [&] { return source->Read().idle_for > 50ms; }));
  const auto reading = source->Read();
  EXPECT_TRUE(reading.known);
  EXPECT_LT(reading.idle_for, 20s);
  EXPECT_EQ(reading.kind, PresenceKind::kInput);
  EXPECT_THAT(reading.detail,
              HasSubstr(fmt::format("session {} of anna (wayland, locked)", desktop.id())));
  desktop.SetIdleHint(false);
  ExpectInUse(*source, "its desktop says so");
}

TEST_INSIDE_MACHINE(RealLogindPresence, DesktopBehindAnotherDoesNotCount) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  RealLogin first({.seat = "seat0"});
  RealLogin second({.type = "x11", .seat = "seat0"});
  second.Activate();
  ExpectInUse(*source, "of anna (x11)");
  second.SetIdleHint(true);
  EXPECT_TRUE(RunUntil(*loop, [&] { return source->Read().idle_for > 0ms; }))
      << "the first, in the background, says nothing";
  first.Activate();
  ExpectInUse(*source, "of anna (wayland)");
}

TEST_INSIDE_MACHINE(RealLogindPresence, SilentDesktopIsLeftToTheHelperThatSeesIt) {
  const auto loop = NewMainLoop();
  const RealLogin desktop({.seat = "seat0"});
  const auto source =
      OpenPresence(*loop, [&](const std::string& session, std::int64_t user_id, LoginKind kind) {
        return session == desktop.id() && user_id == kAnna && kind == LoginKind::kHere;
      });
  ExpectUnknown(*source, "its desktop never says when it is idle");
}

// What sshd makes: a session with a terminal, which tells when it was used.
TEST_INSIDE_MACHINE(RealLogindPresence, RemoteTerminalIsIdleSinceItWasUsed) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  const std::string name = ptsname(terminal);
  const RealLogin ssh({.type = "tty", .terminal = name.substr(5), .remote_host = "192.0.2.7"});
  Do("touch -a -d '100 seconds ago' " + name);
  const auto reading = source->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.kind, PresenceKind::kRemote);
  EXPECT_GE(reading.idle_for, 99s);
  EXPECT_LE(reading.idle_for, 130s);
  EXPECT_THAT(reading.detail, HasSubstr("of anna from 192.0.2.7 (tty, remote)"));
  Do("touch -a " + name);
  EXPECT_LT(source->Read().idle_for, 30s);
  close(terminal);
}

TEST_INSIDE_MACHINE(RealLogindPresence, SessionThatEndsIsGone) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  RealLogin desktop({.seat = "seat0"});
  ExpectInUse(*source, "of anna");
  desktop.Terminate();
  EXPECT_TRUE(RunUntil(*loop, [&] { return !source->Read().known; })) << source->Read().detail;
}

// logind forgets hints, and a desktop that thinks that it told them does not tell them again.
TEST_INSIDE_MACHINE(RealLogindPresence, DesktopCountsAsInUseAfterARestartOfLogind) {
  const auto loop = NewMainLoop();
  const auto source = OpenPresence(*loop);
  RealLogin desktop({.seat = "seat0"});
  desktop.SetIdleHint(true);
  ASSERT_TRUE(RunUntil(*loop, [&] { return source->Read().idle_for > 0ms; }));
  Do("systemctl restart systemd-logind");
  ASSERT_TRUE(RunUntil(*loop, [&] { return source->Read().known; })) << source->Read().detail;
  ExpectInUse(*source, "its desktop never says when it is idle");
}

TEST_INSIDE_MACHINE(RealLogindInhibitors, ProgramsThatBlockIdlenessCountAndAreNamed) {
  const auto loop = NewMainLoop();
  const auto opened = NewLogindInhibitorSource(*loop);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  SessionSignalSource& source = **opened;
  int changes = 0;
  ASSERT_TRUE(source.OnChange([&] { ++changes; }));
  EXPECT_TRUE(source.Read().known) << source.Read().detail;
  EXPECT_FALSE(source.Read().active) << source.Read().detail;
  const auto inhibit = [](const std::string& what, const std::string& who,
                          const std::string& mode) {
    return std::make_unique<ServerProcess>(
        std::vector<std::string>{FindProgram("systemd-inhibit"), "--what=" + what, "--who=" + who,
                                 "--why=playing", "--mode=" + mode, "sleep", "infinity"});
  };
  const auto download = inhibit("sleep:shutdown", "apt", "block");
  auto film = inhibit("idle:sleep", "vlc", "block");
  ASSERT_TRUE(RunUntil(*loop, [&] { return source.Read().active; }));
  EXPECT_EQ(source.Read().detail, "vlc: playing");
  const int before = changes;
  film = nullptr;
  ASSERT_TRUE(RunUntil(*loop, [&] { return !source.Read().active && changes > before; }))
      << "its end is told, not found by asking";
}

class ToldOfSleep {
 public:
  explicit ToldOfSleep(MainLoop& loop) : loop_(loop) {
    auto watch = NewSleepWatch(loop);
    EXPECT_TRUE(watch.has_value()) << watch.error().message;
    if (!watch) return;
    watch_ = *std::move(watch);
    watch_->OnChange([this] { Look(); });
    Look();
  }
  void Ready() { watch_->Ready(); }
  bool Await(std::size_t count) {
    return RunUntil(loop_, [&] { return told.size() >= count; });
  }

  std::vector<std::string> told;

 private:
  void Look() {
    const bool preparing = watch_->Read().preparing;
    if (std::exchange(preparing_, preparing) != preparing)
      told.push_back(preparing ? "sleep" : "wake");
  }

  MainLoop& loop_;
  bool preparing_ = false;
  std::unique_ptr<SleepWatch> watch_;
};

constexpr const char* kSuspend = "timeout 20 systemctl suspend";
constexpr const char* kIsPreparing =
    "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 "
    "org.freedesktop.login1.Manager PreparingForSleep | grep -q true";

TEST_INSIDE_MACHINE(RealLogindSleep, WaitsUntilEverythingIsGivenBack) {
  const auto loop = NewMainLoop();
  ToldOfSleep watch(*loop);
  Do(kSuspend);
  ASSERT_TRUE(watch.Await(1));
  Do(kIsPreparing);
  watch.Ready();
  ASSERT_TRUE(watch.Await(2));
  EXPECT_THAT(watch.told, ElementsAre("sleep", "wake"));
  // And again: the next inhibitor is held.
  Do("systemd-inhibit --list --no-legend | grep -q '^Fallow .* sleep .* delay'");
  Do(kSuspend);
  ASSERT_TRUE(watch.Await(3));
  Do(kIsPreparing);
  watch.Ready();
  ASSERT_TRUE(watch.Await(4));
}

TEST_INSIDE_MACHINE(RealLogindSleep, RestartOfLogindIsSurvived) {
  const auto loop = NewMainLoop();
  ToldOfSleep watch(*loop);
  Do("systemctl restart systemd-logind");
  ASSERT_TRUE(RunUntil(*loop, [] {
    return std::system("systemd-inhibit --list --no-legend | grep -q '^Fallow '") == 0;
  }));
  EXPECT_THAT(watch.told, ElementsAre());
  Do(kSuspend);
  ASSERT_TRUE(watch.Await(1));
  watch.Ready();
  ASSERT_TRUE(watch.Await(2));
}

}  // namespace
}  // namespace fallow
