// The Wayland source against real compositors: sway for org_kde_kwin_idle, KWin for
// ext_idle_notifier_v1. What those do not do on demand is in presence_wayland_played_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>

#include "platform/presence.h"
#include "tests/integration/platform/real_compositors.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::RealCompositor;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::StartKWin;
using fallow::testing::StartSway;
using fallow::testing::WaitUntil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

// A wait of 200 ms, on a machine that is busy with much else.
constexpr milliseconds kBoundedWait{5'000};
constexpr milliseconds kIdleAfter{2'000};  // what the source asks compositors for

class WaylandPresence : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string why_not;
    compositor_ = GetParam() == "Sway" ? StartSway(why_not) : StartKWin(why_not);
    if (compositor_ == nullptr) GTEST_SKIP() << why_not;
  }
  Result<std::unique_ptr<PresenceSource>> Open() {
    return NewWaylandPresenceSource(*loop_, compositor_->socket_path());
  }
  // A compositor that has just begun to serve may be too busy to answer in time.
  Result<std::unique_ptr<PresenceSource>> OpenPatiently() {
    auto source = Open();
    WaitUntil([&] { return source.has_value() || (source = Open()).has_value(); },
              std::chrono::seconds(60));
    return source;
  }
  bool AwaitIdle(PresenceSource& source) {
    return WaitUntil(
        [&] {
          const auto reading = source.Read();
          return reading.known && reading.idle_for >= kIdleAfter;
        },
        std::chrono::seconds(60));
  }

  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<RealCompositor> compositor_;
};

TEST_P(WaylandPresence, IdleTimeGrowsAndInputEndsItAndTheWait) {
  const auto source = OpenPatiently();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  ASSERT_TRUE(AwaitIdle(**source));
  EXPECT_THAT((*source)->Read().detail, HasSubstr(compositor_->protocol()));
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(100));
  EXPECT_EQ(told, 0);
  ASSERT_TRUE(compositor_->Touch());
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  // Touched anew at each look: a busy machine may be late enough to find it idle again.
  EXPECT_TRUE(RunUntil(*loop_, [&] {
    return compositor_->Touch() && (*source)->Read().idle_for == milliseconds(0);
  }));
}

TEST_P(WaylandPresence, HangIsBoundedAndDeathEndsTheWait) {
  const auto source = OpenPatiently();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  ASSERT_TRUE(AwaitIdle(**source));
  compositor_->Signal(SIGSTOP);
  auto start = steady_clock::now();
  auto reading = (*source)->Read();
  EXPECT_LT(steady_clock::now() - start, kBoundedWait);
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("does not answer"));
  start = steady_clock::now();
  EXPECT_FALSE(Open().has_value());
  EXPECT_LT(steady_clock::now() - start, kBoundedWait);
  compositor_->Signal(SIGCONT);
  ASSERT_TRUE(AwaitIdle(**source));
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr(compositor_->socket_path()));
}

INSTANTIATE_TEST_SUITE_P(Real, WaylandPresence, ::testing::Values("Sway", "KWin"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace fallow
