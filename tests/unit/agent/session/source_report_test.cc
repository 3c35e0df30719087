#include "agent/session/source_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace fallow {
namespace {

const std::vector<PresenceReading> kPresence = {
    {.source = "wayland wayland-0", .known = true, .idle_for = std::chrono::milliseconds(12'900)},
    {.source = "gamepads", .detail = "none is\nplugged in", .kind = PresenceKind::kGamepad}};
const std::vector<SessionSignal> kSignals = {
    {.kind = SessionSignalKind::kFullScreen,
     .source = "x11 :0",
     .known = true,
     .active = true,
     .detail = "mpv"},
    {.kind = SessionSignalKind::kGameMode, .source = "gamemode", .detail = "bad \xff bytes"}};

TEST(SourceReport, SaysOneLineASource) {
  EXPECT_EQ(SourceText(kPresence, kSignals),
            "wayland wayland-0: idle for 12 s\n"
            "gamepads: cannot tell (none is?plugged in)\n"
            "x11 :0: full screen: yes (mpv)\n"
            "gamemode: cannot tell (bad \xff bytes)\n");
}

TEST(SourceReport, GivesProgramsTheSameWithNullForTheUnknown) {
  const auto json = nlohmann::json::parse(SourceJson(kPresence, kSignals));
  EXPECT_EQ(json["presence"][0]["idle_s"], 12);
  EXPECT_EQ(json["presence"][0]["kind"], "input");
  EXPECT_EQ(json["presence"][1]["kind"], "gamepad");
  EXPECT_EQ(json["presence"][1]["idle_s"], nullptr);
  EXPECT_EQ(json["presence"][1]["known"], false);
  EXPECT_EQ(json["session_signals"][0]["active"], true);
  EXPECT_EQ(json["session_signals"][0]["kind"], "full_screen");
  EXPECT_EQ(json["session_signals"][1]["active"], nullptr);
}

}  // namespace
}  // namespace fallow
