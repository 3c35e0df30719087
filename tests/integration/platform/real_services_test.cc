// Games and what keeps a desktop from going idle, against the desktops' real services.
#include <gmock/gmock.h>
#include <signal.h>

#include <ostream>

#include "platform/session_signals.h"
#include "tests/integration/platform/bus_client.h"
#include "tests/integration/platform/bus_fixture.h"
#include "tests/integration/platform/real_service.h"
#include "tests/integration/platform/x_server.h"

namespace fallow {
namespace {

using fallow::testing::BusClient;
using fallow::testing::BusTest;
using fallow::testing::FindProgram;
using fallow::testing::Message;
using fallow::testing::RealService;
using fallow::testing::RunUntil;
using fallow::testing::ServerProcess;
using fallow::testing::StartXServer;
using fallow::testing::XServer;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

class RealServiceTest : public BusTest {
 protected:
  // Patiently: on a busy machine the bus may be late.
  template <class Open>
  void Follow(Open open) {
    std::string trouble;
    ASSERT_TRUE(RunUntil(*loop_, [&] {
      auto source = open();
      if (!source) {
        trouble = source.error().message;
        return false;
      }
      source_ = *std::move(source);
      return true;
    })) << trouble;
    signal_ = source_->Read();
    source_->OnChange([this] { signal_ = source_->Read(); });
  }
  // Told by the source of its own accord, or when it is read again and again.
  ::testing::AssertionResult Tells(bool active, const std::string& detail = "") {
    if (RunUntil(*loop_, [&] {
          if (read_again_) signal_ = source_->Read();
          return signal_.known && signal_.active == active && (!active || signal_.detail == detail);
        }))
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "known: " << signal_.known << ", active: " << signal_.active << ", "
           << signal_.detail;
  }

  std::unique_ptr<RealService> service_;
  std::unique_ptr<SessionSignalSource> source_;
  SessionSignal signal_;
  bool read_again_ = false;
};

// ---- What keeps a desktop from going idle -------------------------------------------------------

// How a desktop's programs ask.
struct Desktop {
  const char* name;
  RealService::Options service;

  friend void PrintTo(const Desktop& desktop, std::ostream* out) { *out << desktop.name; }
};

constexpr const char* kSessionManager = "org.gnome.SessionManager";
constexpr const char* kPowerManagement = "org.freedesktop.PowerManagement";
constexpr std::uint32_t kLogout = 1, kSuspend = 4, kIdle = 8;

// A program of the desktop's.
class Program {
 public:
  explicit Program(const Desktop& desktop)
      : xfce_(desktop.service.bus_name == std::string(kPowerManagement)) {}

  // 0: refused.
  std::uint32_t Inhibit(std::uint32_t flags) {
    constexpr const char *kWho = "mpv", *kWhy = "playing secret.mkv";
    const Message answer =
        xfce_ ? client_.Call(kPowerManagement, "/org/freedesktop/PowerManagement/Inhibit",
                             "org.freedesktop.PowerManagement.Inhibit", "Inhibit", "ss", kWho, kWhy)
              : client_.Call(kSessionManager, "/org/gnome/SessionManager", kSessionManager,
                             "Inhibit", "susu", kWho, 0U, kWhy, flags);
    std::uint32_t cookie = 0;
    if (answer != nullptr) sd_bus_message_read(answer.get(), "u", &cookie);
    return cookie;
  }
  bool Uninhibit(std::uint32_t cookie) {
    return (xfce_
                ? client_.Call(kPowerManagement, "/org/freedesktop/PowerManagement/Inhibit",
                               "org.freedesktop.PowerManagement.Inhibit", "UnInhibit", "u", cookie)
                : client_.Call(kSessionManager, "/org/gnome/SessionManager", kSessionManager,
                               "Uninhibit", "u", cookie)) != nullptr;
  }

 private:
  const bool xfce_;
  BusClient client_;
};

class RealDesktopInhibitor : public RealServiceTest, public ::testing::WithParamInterface<Desktop> {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (FindProgram("Xvfb").empty()) GTEST_SKIP() << "Xvfb is not installed";
    server_ = StartXServer({"-noreset"});
    ASSERT_FALSE(server_.display.empty()) << "Xvfb did not start";
    RealService::Options options = GetParam().service;
    options.display = server_.display;
    std::string why_not;
    service_ = RealService::Start(why_not, options);
    if (service_ == nullptr) GTEST_SKIP() << why_not;
    read_again_ = options.bus_name == std::string(kPowerManagement);
    Follow([this] { return Open(); });
    // Xfce's takes its name before it hears requests.
    ASSERT_TRUE(Tells(false));
  }
  Result<std::unique_ptr<SessionSignalSource>> Open() {
    return NewDesktopInhibitorSource(*loop_, /*good_for=*/milliseconds(100));
  }

  XServer server_;
};

TEST_P(RealDesktopInhibitor, RequestAndItsEndAreToldWithoutWhatIsPlayed) {
  Program player(GetParam());
  const std::uint32_t cookie = player.Inhibit(kSuspend | kIdle);
  ASSERT_NE(cookie, 0U);
  EXPECT_TRUE(Tells(true, "mpv"));
  ASSERT_TRUE(player.Uninhibit(cookie));
  EXPECT_TRUE(Tells(false));
}

TEST_P(RealDesktopInhibitor, DeathOfTheProgramEndsItsRequest) {
  auto player = std::make_unique<Program>(GetParam());
  ASSERT_NE(player->Inhibit(kIdle), 0U);
  EXPECT_TRUE(Tells(true, "mpv"));
  player = nullptr;
  // Xfce's 4.18 may crash over it, and then cannot tell.
  EXPECT_TRUE(read_again_ ? RunUntil(*loop_, [&] { return !source_->Read().active; })
                          : bool{Tells(false)});
}

TEST_P(RealDesktopInhibitor, OneThatComesLateFindsWhatIsHeld) {
  Program player(GetParam());
  ASSERT_NE(player.Inhibit(kIdle), 0U);
  Follow([this] { return Open(); });
  EXPECT_TRUE(Tells(true, "mpv"));
}

TEST_P(RealDesktopInhibitor, RequestsAgainstOtherThingsDoNotCount) {
  if (GetParam().service.bus_name != std::string(kSessionManager))
    GTEST_SKIP() << "its requests have no kinds";
  Program editor(GetParam());
  ASSERT_NE(editor.Inhibit(kLogout | kSuspend), 0U);
  Program player(GetParam());
  ASSERT_NE(player.Inhibit(kIdle), 0U);
  EXPECT_TRUE(Tells(true, "mpv")) << "named once";
}

TEST_P(RealDesktopInhibitor, FrozenServiceIsNamedAndSoIsADeadOne) {
  service_->Signal(SIGSTOP);
  Follow([this] { return Open(); });
  EXPECT_FALSE(signal_.known);
  EXPECT_THAT(signal_.detail,
              HasSubstr(std::string(GetParam().service.bus_name) + " does not answer"));
  service_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    return signal_.detail.contains(std::string(GetParam().service.bus_name) + " is not running");
  })) << signal_.detail;
  EXPECT_FALSE(signal_.known);
}

// A session without programs; Cinnamon's wants one.
constexpr const char* kNoPrograms = "[GNOME Session]\nName=None\nRequiredComponents=\n";
constexpr const char* kOneProgram = "[Cinnamon Session]\nName=One\nRequiredComponents=one;\n";
constexpr const char* kTheProgram =
    "[Desktop Entry]\nType=Application\nName=One\nExec=setpriv --pdeathsig KILL sleep infinity\n";

INSTANTIATE_TEST_SUITE_P(
    Of, RealDesktopInhibitor,
    ::testing::Values(
        Desktop{
            .name = "Gnome",
            .service = {.program = "gnome-session-binary",
                        .arguments = {"--builtin", "--session=none"},
                        .bus_name = kSessionManager,
                        .files = {{".config/gnome-session/sessions/none.session", kNoPrograms}}}},
        Desktop{.name = "Mate",
                .service = {.program = "mate-session", .bus_name = kSessionManager}},
        Desktop{
            .name = "Cinnamon",
            .service = {.program = "cinnamon-session",
                        .arguments = {"--session=one"},
                        .bus_name = kSessionManager,
                        .files = {{".config/cinnamon-session/sessions/one.session", kOneProgram},
                                  {".local/share/applications/one.desktop", kTheProgram}}}},
        Desktop{.name = "Xfce",
                .service = {.program = "xfce4-power-manager",
                            .arguments = {"--no-daemon"},
                            .bus_name = kPowerManagement}}),
    [](const auto& test) { return test.param.name; });

// ---- Games --------------------------------------------------------------------------------------

class RealGameMode : public RealServiceTest {
 protected:
  static constexpr const char* kName = "com.feralinteractive.GameMode";
  static constexpr const char* kPath = "/com/feralinteractive/GameMode";

  // Games lie where root's PATH does not lead.
  static std::string Gamemoderun() {
    const std::string in_path = FindProgram("gamemoderun");
    const std::string beside = "/usr/games/gamemoderun";
    return in_path.empty() && access(beside.c_str(), X_OK) == 0 ? beside : in_path;
  }
  void StartDaemon() {
    std::string why_not;
    // Without a PATH it finds no pkexec, by which it would speed this machine's processors up.
    service_ = RealService::Start(
        why_not, {.program = "gamemoded",
                  .bus_name = kName,
                  .environment = {"PATH="},
                  .files = {{".config/gamemode.ini", "[general]\nreaper_freq=1\n"}}});
    if (service_ == nullptr) GTEST_SKIP() << why_not;
  }
};

TEST_F(RealGameMode, RegisteredGameAndItsEndAreTold) {
  Follow([this] { return NewGameModeSource(*loop_); });
  EXPECT_TRUE(Tells(false)) << "no daemon, no game";
  StartDaemon();
  if (IsSkipped()) return;
  EXPECT_TRUE(Tells(false));
  ServerProcess game({FindProgram("sleep"), "infinity"});
  BusClient client;
  const auto call = [&](const char* method) {
    const Message answer = client.Call(kName, kPath, kName, method, "i", game.process_id());
    int refused = -1;
    return answer != nullptr && sd_bus_message_read(answer.get(), "i", &refused) > 0 &&
           refused == 0;
  };
  ASSERT_TRUE(call("RegisterGame"));
  EXPECT_TRUE(Tells(true, "sleep"));
  ASSERT_TRUE(call("UnregisterGame"));
  EXPECT_TRUE(Tells(false));
}

TEST_F(RealGameMode, GameThatWasStartedByGamemoderunAndKilledIsTold) {
  if (Gamemoderun().empty()) GTEST_SKIP() << "gamemoderun is not installed";
  StartDaemon();
  if (IsSkipped()) return;
  Follow([this] { return NewGameModeSource(*loop_); });
  EXPECT_TRUE(Tells(false));
  ServerProcess game({Gamemoderun(), "sleep", "infinity"});
  EXPECT_TRUE(Tells(true, "sleep"));
  game.Kill();
  EXPECT_TRUE(Tells(false)) << "the daemon looks for it each second";
}

TEST_F(RealGameMode, DeathOfTheDaemonEndsItsGames) {
  if (Gamemoderun().empty()) GTEST_SKIP() << "gamemoderun is not installed";
  StartDaemon();
  if (IsSkipped()) return;
  Follow([this] { return NewGameModeSource(*loop_); });
  const ServerProcess game({Gamemoderun(), "sleep", "infinity"});
  EXPECT_TRUE(Tells(true, "sleep"));
  service_->Kill();
  EXPECT_TRUE(Tells(false));
}

}  // namespace
}  // namespace fallow
