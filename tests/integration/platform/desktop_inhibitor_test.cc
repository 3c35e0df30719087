// What keeps a desktop from going idle, against the desktops' services, which the test plays in
// their words.
#include <gmock/gmock.h>

#include "platform/session_signals.h"
#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::ExpectActive;
using fallow::testing::ExpectInactive;
using fallow::testing::ExpectUnknown;
using fallow::testing::kBoundedWait;
using fallow::testing::PlayedService;

class DesktopInhibitor : public BusTest {
 protected:
  std::unique_ptr<SessionSignalSource> Open(
      std::chrono::milliseconds good_for = std::chrono::seconds(0)) {
    auto source = NewDesktopInhibitorSource(*loop_, good_for);
    EXPECT_TRUE(source.has_value()) << source.error().message;
    return *std::move(source);
  }
  // What the service says of the flag it is asked for.
  static void AnswerFlag(PlayedService& service, const std::string& method, std::uint32_t held) {
    service.On(method, [held](sd_bus_message* call, sd_bus_message* reply) {
      std::uint32_t asked = 0;
      sd_bus_message_read(call, "u", &asked);
      sd_bus_message_append(reply, "b", (asked & held) != 0);
    });
  }
};

// MATE's and Cinnamon's session managers have the same name, methods, flags and signals.
class GnomeInhibitor : public DesktopInhibitor {
 protected:
  static constexpr const char* kName = "org.gnome.SessionManager";
  static constexpr const char* kPath = "/org/gnome/SessionManager";
  static constexpr std::uint32_t kLogout = 1, kSuspend = 4, kIdle = 8;

  // A video player and an editor with unsaved work.
  void SetUp() override {
    DesktopInhibitor::SetUp();
    Hold(0);
    const auto is_video = [](sd_bus_message* call) {
      return std::string_view(sd_bus_message_get_path(call)).ends_with("Inhibitor1");
    };
    manager_.On("GetInhibitors", [](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "ao", 2, "/org/gnome/SessionManager/Inhibitor1",
                            "/org/gnome/SessionManager/Inhibitor2");
    });
    manager_.On("GetFlags", [is_video](sd_bus_message* call, sd_bus_message* reply) {
      sd_bus_message_append(reply, "u", is_video(call) ? kSuspend | kIdle : kLogout);
    });
    manager_.On("GetAppId", [is_video](sd_bus_message* call, sd_bus_message* reply) {
      sd_bus_message_append(reply, "s", is_video(call) ? "Firefox" : "gedit");
    });
    manager_.On("GetReason", [](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "s", "playing secret.mkv");
    });
    manager_.Start();
  }
  void Hold(std::uint32_t flags) { AnswerFlag(manager_, "IsInhibited", flags); }

  PlayedService manager_{kName};
};

TEST_F(GnomeInhibitor, ThoseAgainstIdlenessCountAndAreNamedWithoutWhatTheyPlay) {
  const auto source = Open();
  ExpectInactive(source->Read());
  Hold(kSuspend | kIdle | kLogout);
  manager_.Emit(kPath, kName, "InhibitorAdded", "o", "/org/gnome/SessionManager/Inhibitor1");
  ExpectActive(ReadAfterChange(*source), "Firefox");
  Hold(kLogout);
  manager_.Emit(kPath, kName, "InhibitorRemoved", "o", "/org/gnome/SessionManager/Inhibitor1");
  ExpectInactive(ReadAfterChange(*source));
}

TEST_F(GnomeInhibitor, ManagerThatHangsCostsABoundedWaitAndIsNamed) {
  manager_.FallSilent();
  EXPECT_LT(TimeOf([&] {
              ExpectUnknown(Open()->Read(), "org.gnome.SessionManager does not answer IsInhibited");
            }),
            kBoundedWait);
}

TEST_F(DesktopInhibitor, KdeProgramsThatKeepTheScreenOnCount) {
  constexpr const char* kName = "org.kde.Solid.PowerManagement.PolicyAgent";
  constexpr std::uint32_t kSession = 1, kScreen = 4;
  PlayedService agent(kName);
  agent.On("ListInhibitions", [](sd_bus_message*, sd_bus_message* reply) {
    sd_bus_message_append(reply, "a(ss)", 1, "mpv", "playing secret.mkv");
  });
  AnswerFlag(agent, "HasInhibition", kSession);  // a download
  agent.Start();
  const auto source = Open();
  ExpectInactive(source->Read());
  AnswerFlag(agent, "HasInhibition", kSession | kScreen);
  agent.Emit("/org/kde/Solid/PowerManagement/PolicyAgent", kName, "InhibitionsChanged", "a(ss)as",
             1, "mpv", "", 0);
  ExpectActive(ReadAfterChange(*source), "mpv");
}

TEST_F(DesktopInhibitor, DesktopThatComesLaterIsNoticed) {
  const auto source = Open();
  ExpectUnknown(source->Read(), "org.gnome.SessionManager is not running; org.kde.Solid");
  PlayedService agent("org.kde.Solid.PowerManagement.PolicyAgent");
  AnswerFlag(agent, "HasInhibition", 0);
  agent.Start();
  ExpectInactive(ReadAfterChange(*source));
}

class PowerManagementInhibitor : public DesktopInhibitor {
 protected:
  static constexpr const char* kName = "org.freedesktop.PowerManagement";
  static constexpr const char* kPath = "/org/freedesktop/PowerManagement/Inhibit";
  static constexpr const char* kInterface = "org.freedesktop.PowerManagement.Inhibit";

  void Hold(bool held) {
    manager_.On("HasInhibit", [held](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "b", static_cast<int>(held));
    });
  }
  // Xfce's power manager names the programs.
  void NamePrograms() {
    manager_.On("GetInhibitors", [](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "as", 2, "Chromium", "mpv\n");
    });
  }

  PlayedService manager_{kName};
};

TEST_F(PowerManagementInhibitor, ProgramsThatXfceKnowsOfCountAndAreNamed) {
  Hold(false);
  NamePrograms();
  manager_.Start();
  const auto source = Open();
  ExpectInactive(source->Read());
  Hold(true);  // it tells nobody
  ExpectActive(source->Read(), "Chromium; mpv ");
  Hold(false);
  ExpectInactive(source->Read());
}

TEST_F(PowerManagementInhibitor, IsAskedAgainAndAgainButNotAtEachReport) {
  Hold(true);
  manager_.Start();
  const auto source = Open(std::chrono::hours(1));
  const int calls = manager_.calls();
  for (int i = 0; i < 5; ++i) ExpectActive(source->Read(), "a program that it does not name");
  EXPECT_EQ(manager_.calls(), calls);
}

// As Xfce's while it starts.
TEST_F(PowerManagementInhibitor, ServiceWhoseNameComesBeforeItsObjectIsAskedAgain) {
  manager_.Start();
  const auto source = Open();
  ExpectUnknown(source->Read(), "org.freedesktop.PowerManagement does not answer HasInhibit");
  Hold(true);
  ExpectActive(ReadAfterChange(*source), "a program that it does not name");
}

// One that tells more than Xfce's.
TEST_F(PowerManagementInhibitor, ChangeThatIsToldIsHeardAtOnce) {
  Hold(false);
  manager_.Start();
  const auto source = Open(std::chrono::hours(1));
  ExpectInactive(source->Read());
  Hold(true);
  manager_.Emit(kPath, kInterface, "HasInhibitChanged", "b", 1);
  ExpectActive(ReadAfterChange(*source), "a program that it does not name");
}

TEST_F(PowerManagementInhibitor, ServiceThatNamesNobodyIsHeardAllTheSame) {
  Hold(true);
  manager_.Start();
  ExpectActive(Open()->Read(), "a program that it does not name");
}

TEST_F(PowerManagementInhibitor, HangingServiceCostsABoundedWaitAndIsNamed) {
  manager_.Start();
  manager_.FallSilent();
  EXPECT_LT(TimeOf([&] {
              ExpectUnknown(Open()->Read(),
                            "org.freedesktop.PowerManagement does not answer HasInhibit");
            }),
            kBoundedWait);
}

// KDE has this service too, and counts there what only must not be put to sleep.
TEST_F(PowerManagementInhibitor, IsNotBelievedWhereKdeTellsMore) {
  Hold(true);
  manager_.Start();
  PlayedService kde("org.kde.Solid.PowerManagement.PolicyAgent");
  AnswerFlag(kde, "HasInhibition", 0);
  kde.Start();
  const auto source = Open();
  ExpectInactive(source->Read());
  kde.Stop();
  ExpectActive(ReadAfterChange(*source), "a program that it does not name");
}

// xscreensaver's and others' take requests and cannot be asked for them.
TEST_F(DesktopInhibitor, ScreenSaverThatTellsNobodyIsNamed) {
  const auto source = Open();
  ExpectUnknown(source->Read(), "org.freedesktop.PowerManagement is not running");
  PlayedService saver("org.freedesktop.ScreenSaver");
  saver.Start();
  ExpectUnknown(ReadAfterChange(*source),
                "org.freedesktop.ScreenSaver is, but does not tell who keeps the screen on");
}

}  // namespace
}  // namespace fallow
