// Session signals and sensors of a bus, but for desktops' inhibitors, against services that the
// test plays in their words.
#include <gmock/gmock.h>
#include <unistd.h>

#include "platform/network_cost.h"
#include "platform/power_profile.h"
#include "platform/session_signals.h"
#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::ExpectActive;
using fallow::testing::ExpectInactive;
using fallow::testing::ExpectUnknown;
using fallow::testing::kBoundedWait;
using fallow::testing::kManyWaits;
using fallow::testing::PlayedService;
using fallow::testing::RunUntil;
using ::testing::HasSubstr;

class GameMode : public BusTest {
 protected:
  static constexpr const char* kName = "com.feralinteractive.GameMode";
  static constexpr const char* kPath = "/com/feralinteractive/GameMode";

  void SetUp() override {
    BusTest::SetUp();
    SetGames(0);
    daemon_.Set("Executable", std::string("/usr/games/supertuxkart"));
    daemon_.On("ListGames", [](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "a(io)", 1, 7, "/com/feralinteractive/GameMode/Games/7");
    });
  }
  void SetGames(int count) { daemon_.Set("ClientCount", std::int32_t{count}); }

  std::unique_ptr<SessionSignalSource> Open() {
    auto source = NewGameModeSource(*loop_);
    EXPECT_TRUE(source.has_value()) << source.error().message;
    return *std::move(source);
  }

  PlayedService daemon_{kName};
};

TEST_F(GameMode, RegisteredGameIsActiveAndNamed) {
  daemon_.Start();
  const auto source = Open();
  EXPECT_EQ(source->kind(), SessionSignalKind::kGameMode);
  ExpectInactive(source->Read());
  SetGames(1);
  daemon_.EmitPropertiesChanged(kPath, kName);
  ExpectActive(ReadAfterChange(*source), "supertuxkart");
  SetGames(0);
  daemon_.Emit(kPath, kName, "GameUnregistered", "io", 7, "/com/feralinteractive/GameMode/Games/7");
  ExpectInactive(ReadAfterChange(*source));
}

TEST_F(GameMode, IsNotAskedAgainWhileNothingChanges) {
  daemon_.Start();
  const auto source = Open();
  const int calls = daemon_.calls();
  for (int i = 0; i < 5; ++i) ExpectInactive(source->Read());
  EXPECT_EQ(daemon_.calls(), calls);
}

TEST_F(GameMode, AbsentDaemonMeansNoGameAndItsComingAndGoingIsNoticed) {
  const auto source = Open();
  ExpectInactive(source->Read());
  EXPECT_EQ(source->Read().detail, "com.feralinteractive.GameMode is not running");
  SetGames(2);
  daemon_.Start();
  ExpectActive(ReadAfterChange(*source), "supertuxkart");
  daemon_.Stop();
  ExpectInactive(ReadAfterChange(*source));
}

TEST_F(GameMode, HangingDaemonCostsABoundedWaitAndIsNamed) {
  daemon_.Start();
  daemon_.FallSilent();
  EXPECT_LT(TimeOf([&] {
              const auto source = Open();
              ExpectUnknown(source->Read(), "com.feralinteractive.GameMode does not answer");
            }),
            kBoundedWait);
}

TEST_F(GameMode, EndOfTheBusIsNoticed) {
  daemon_.Start();
  const auto source = Open();
  ExpectInactive(source->Read());
  private_bus_.Kill();
  ExpectUnknown(ReadAfterChange(*source), "the session bus ended the connection");
}

TEST_F(GameMode, SourceMayBeDestroyedWhenItTells) {
  daemon_.Start();
  auto source = Open();
  source->OnChange([&] { source = nullptr; });
  daemon_.EmitPropertiesChanged(kPath, kName);
  daemon_.EmitPropertiesChanged(kPath, kName);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return source == nullptr; }));
}

TEST(SessionSignalsOfABus, NoBusIsUnavailable) {
  setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
  const auto loop = NewMainLoop();
  for (const auto& source : {NewGameModeSource(*loop), NewDesktopInhibitorSource(*loop),
                             NewLogindInhibitorSource(*loop)}) {
    ASSERT_FALSE(source.has_value());
    EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(source.error().message, HasSubstr("bus"));
  }
  EXPECT_EQ(NewNetworkCostSensor(*loop)->Metered(), std::nullopt);
  EXPECT_EQ(NewPowerProfileSensor(*loop)->PowerSaver(), std::nullopt);
  unsetenv("DBUS_SESSION_BUS_ADDRESS");
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

class LogindInhibitors : public BusTest {
 protected:
  struct Held {
    const char *what, *who, *why, *mode;
    pid_t process_id = 1;
  };
  void Hold(std::vector<Held> all) {
    logind_.On("ListInhibitors", [all](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_open_container(reply, 'a', "(ssssuu)");
      for (const Held& one : all) {
        sd_bus_message_append(reply, "(ssssuu)", one.what, one.who, one.why, one.mode, 1000,
                              static_cast<std::uint32_t>(one.process_id));
      }
      sd_bus_message_close_container(reply);
    });
  }

  PlayedService logind_{"org.freedesktop.login1"};
};

TEST_F(LogindInhibitors, OthersThatBlockIdlenessCount) {
  const std::vector<Held> others = {
      {"sleep", "NetworkManager", "turns networks off", "delay"},
      {"handle-lid-switch:handle-power-key", "PowerDevil", "KDE does it", "block"},
      {"idle", "late", "waits", "delay"},
      {"sleep:idle", "Fallow", "ours", "block", getpid()},
  };
  Hold(others);
  logind_.Start();
  auto source = NewLogindInhibitorSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  ExpectInactive((*source)->Read());
  std::vector<Held> more = others;
  more.push_back({"sleep:idle:shutdown", "vlc", "playing \x1b[31mfilm", "block"});
  more.push_back({"idle", "mpv", "playing", "block-weak"});
  Hold(more);
  logind_.EmitPropertiesChanged("/org/freedesktop/login1", "org.freedesktop.login1.Manager");
  ExpectActive(ReadAfterChange(**source), "vlc: playing  [31mfilm; mpv: playing");
}

TEST_F(LogindInhibitors, MoreThanAFewAreNotAllNamed) {
  Hold(std::vector<Held>(1'000, {"idle", "app", "why", "block"}));
  logind_.Start();
  auto source = NewLogindInhibitorSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  ExpectActive((*source)->Read(), "app: why; app: why; app: why; app: why");
}

class NetworkCost : public BusTest {
 protected:
  PlayedService manager_{"org.freedesktop.NetworkManager"};
};

TEST_F(NetworkCost, FollowsNetworkManager) {
  const auto sensor = NewNetworkCostSensor(*loop_);
  EXPECT_EQ(sensor->Metered(), std::nullopt) << "absent";
  manager_.Set("Metered", std::uint32_t{1});
  manager_.Start();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return sensor->Metered() == true; }));
  const std::pair<std::uint32_t, std::optional<bool>> cases[] = {
      {4, false}, {3, true}, {2, false}, {1, true}, {0, std::nullopt}, {77, std::nullopt}};
  for (const auto& [told, expected] : cases) {
    manager_.Set("Metered", told);
    manager_.EmitPropertiesChanged("/org/freedesktop/NetworkManager",
                                   "org.freedesktop.NetworkManager");
    EXPECT_TRUE(RunUntil(*loop_, [&, want = expected] { return sensor->Metered() == want; }))
        << told;
  }
  const int calls = manager_.calls();
  for (int i = 0; i < 5; ++i) sensor->Metered();
  EXPECT_EQ(manager_.calls(), calls) << "asked though nothing changed";
}

TEST_F(NetworkCost, HangingManagerCostsOneBoundedWait) {
  manager_.Start();
  manager_.FallSilent();
  const auto sensor = NewNetworkCostSensor(*loop_);
  EXPECT_LT(TimeOf([&] {
              for (int i = 0; i < kManyWaits; ++i) EXPECT_EQ(sensor->Metered(), std::nullopt);
            }),
            kBoundedWait);
}

class PowerProfile : public BusTest {};

TEST_F(PowerProfile, SaverIsKnownByBothNamesOfTheDaemon) {
  for (const std::string name :
       {"net.hadess.PowerProfiles", "org.freedesktop.UPower.PowerProfiles"}) {
    PlayedService daemon(name);
    daemon.Set("ActiveProfile", std::string("balanced"));
    const auto sensor = NewPowerProfileSensor(*loop_);
    EXPECT_EQ(sensor->PowerSaver(), std::nullopt) << "absent";
    daemon.Start();
    EXPECT_TRUE(RunUntil(*loop_, [&] { return sensor->PowerSaver() == false; })) << name;
    daemon.Set("ActiveProfile", std::string("power-saver"));
    daemon.EmitPropertiesChanged(name.starts_with("net") ? "/net/hadess/PowerProfiles"
                                                         : "/org/freedesktop/UPower/PowerProfiles",
                                 name);
    EXPECT_TRUE(RunUntil(*loop_, [&] { return sensor->PowerSaver() == true; })) << name;
  }
}

}  // namespace
}  // namespace fallow
