#include "agent/session/source_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using enum PresenceChoice;
using enum SignalChoice;

TEST(SourcePlan, AWaylandSessionAsksItsCompositorOrElseGnome) {
  for (const LoginEnvironment& login :
       {LoginEnvironment{
            .session_type = "wayland", .display = ":0", .wayland_display = "wayland-0"},
        LoginEnvironment{.session_type = "wayland"},
        LoginEnvironment{.display = ":0", .wayland_display = "wayland-0"}}) {
    EXPECT_THAT(PlanSources(login).presence,
                ElementsAre(ElementsAre(kWayland, kMutter), ElementsAre(kGamepads)));
    EXPECT_THAT(PlanSources(login).signals, Contains(kWaylandFullScreen));
  }
}

TEST(SourcePlan, XwaylandIsAskedForFullScreenAloneAndNotStartedForIt) {
  const SourcePlan plan =
      PlanSources({.session_type = "wayland", .display = ":0", .wayland_display = "wayland-0"});
  EXPECT_THAT(plan.signals, Contains(kXwaylandFullScreen));
  EXPECT_THAT(plan.signals, Not(Contains(kX11FullScreen)));
  for (const auto& choices : plan.presence) EXPECT_THAT(choices, Not(Contains(kX11)));
}

TEST(SourcePlan, AnX11SessionAsksItsServerAndGnome) {
  for (const LoginEnvironment& login :
       {LoginEnvironment{.session_type = "x11", .display = ":0"}, LoginEnvironment{.display = ":0"},
        LoginEnvironment{.session_type = "x11"}}) {
    EXPECT_THAT(PlanSources(login).presence,
                ElementsAre(ElementsAre(kX11), ElementsAre(kMutter), ElementsAre(kGamepads)));
    EXPECT_THAT(PlanSources(login).signals, Not(Contains(kWaylandFullScreen)));
  }
}

TEST(SourcePlan, TheSaverOfAnX11ServerIsAskedForButNotXwaylands) {
  EXPECT_THAT(PlanSources({.session_type = "x11", .display = ":0"}).signals,
              Contains(kX11Inhibitor));
  EXPECT_THAT(
      PlanSources({.session_type = "wayland", .display = ":0", .wayland_display = "w"}).signals,
      Not(Contains(kX11Inhibitor)));
}

TEST(SourcePlan, ALoginWithoutADisplayHasGamepadsAndBusesOnly) {
  EXPECT_EQ(PlanSources({.session_type = "tty"}),
            (SourcePlan{.presence = {{kGamepads}},
                        .signals = {kGameMode, kDesktopInhibitor, kLogindInhibitor}}));
}

}  // namespace
}  // namespace fallow
