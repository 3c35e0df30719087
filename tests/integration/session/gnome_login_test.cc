// fallow-session in a login whose compositor is the real Mutter, with XWayland.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/integration/platform/private_bus.h"
#include "tests/integration/platform/real_mutter.h"
#include "tests/integration/platform/x11_window.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::AwaitWindowManager;
using fallow::testing::PrivateBus;
using fallow::testing::RealMutter;
using fallow::testing::RunProgram;
using fallow::testing::WaitUntil;
using fallow::testing::X11Window;
using nlohmann::json;

class GnomeLogin : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string lacking = PrivateBus::Lacking(); !lacking.empty())
      GTEST_SKIP() << lacking;
    ASSERT_TRUE(bus_.Start()) << "dbus-daemon did not start";
    std::string why_not;
    mutter_ = RealMutter::Start(why_not, {.xwayland = true});
    if (mutter_ == nullptr) GTEST_SKIP() << why_not;
    setenv("XAUTHORITY", mutter_->x_authority().c_str(), 1);
    ASSERT_TRUE(AwaitWindowManager(mutter_->x_display()));
  }
  void TearDown() override {
    mutter_ = nullptr;
    unsetenv("XAUTHORITY");
  }
  // What the helper's sources say.
  json Ask() const {
    return json::parse(
        RunProgram({.arguments = {"fallow-session", "--once", "--json"},
                    .environment = {"XDG_SESSION_TYPE=wayland", "XDG_SESSION_ID=test",
                                    "WAYLAND_DISPLAY=" + mutter_->wayland_socket(),
                                    "DISPLAY=" + mutter_->x_display()}})
            .output);
  }
  // Of a busy machine, whose servers may be too late to answer.
  ::testing::AssertionResult Finds(const std::string& list, const json& expected) const {
    json said;
    if (WaitUntil(
            [&] {
              said = Ask();
              return std::ranges::any_of(said.at(list), [&](const json& one) {
                json patched = one;
                patched.merge_patch(expected);
                return patched == one;
              });
            },
            std::chrono::seconds(20)))
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << said.dump(2);
  }

  PrivateBus bus_;
  std::unique_ptr<RealMutter> mutter_;
};

TEST_F(GnomeLogin, HelperReadsMutterAndWhatFillsTheScreenByXwayland) {
  EXPECT_TRUE(Finds("presence", {{"source", "mutter"}, {"kind", "input"}, {"known", true}}));
  const std::string source = "x11 " + mutter_->x_display();
  EXPECT_TRUE(Finds("session_signals", {{"source", source}, {"known", false}})) << "nobody uses it";
  const X11Window game(mutter_->x_display(), "supertuxkart", /*covers_screen=*/true);
  EXPECT_TRUE(
      Finds("session_signals", {{"source", source}, {"active", true}, {"detail", "supertuxkart"}}));
}

}  // namespace
}  // namespace fallow
