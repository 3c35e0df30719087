#include "engine/step_control.h"

#include <gtest/gtest.h>

#include <thread>

namespace fallow::engine {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A rest that ends only because something ended it.
constexpr auto kVeryBusy = std::chrono::hours(24);
constexpr auto kLongForAMachine = 30s;

TEST(StepControl, RestsInProportionToWhatWasComputed) {
  EXPECT_EQ(RestAfter(4ms, 0.5), 4ms);
  EXPECT_EQ(RestAfter(3ms, 0.75), 1ms);
  EXPECT_EQ(RestAfter(4ms, 1), 0ms);
  EXPECT_NEAR(static_cast<double>(RestAfter(4ms, kMinShare).count()), 196e6, 1e3);
}

TEST(StepControl, DoesNotRestAtTheFullShare) {
  const StepControl control;
  const auto start = Clock::now();
  control.Rest(kVeryBusy);
  EXPECT_LT(Clock::now() - start, kLongForAMachine);
}

TEST(StepControl, RestsNoShorterThanTheShareAsks) {
  StepControl control;
  control.SetShare(0.25);
  const auto start = Clock::now();
  control.Rest(1ms);
  EXPECT_GE(Clock::now() - start, 3ms);
}

TEST(StepControl, AStopEndsARestAndTheNextOnes) {
  StepControl control;
  control.SetShare(kMinShare);
  const auto start = Clock::now();
  std::thread owner([&] { control.Stop(); });
  control.Rest(kVeryBusy);
  owner.join();
  control.Rest(kVeryBusy);
  EXPECT_LT(Clock::now() - start, kLongForAMachine);
  EXPECT_TRUE(control.stopped());
  control.Resume();
  EXPECT_FALSE(control.stopped());
}

TEST(StepControl, SaysAtEachLookWhetherToGoOn) {
  StepControl control;
  int looks = 0;
  control.OnLook([&] {
    if (++looks == 3) control.Stop();
  });
  EXPECT_TRUE(control.GoOn().has_value());
  EXPECT_FALSE(control.stopped());
  const Status status = control.GoOn();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(looks, 3);
}

TEST(StepControl, ALargerShareEndsARestUnderWay) {
  StepControl control;
  control.SetShare(kMinShare);
  const auto start = Clock::now();
  std::thread slider([&] { control.SetShare(1); });
  control.Rest(kVeryBusy);
  slider.join();
  EXPECT_LT(Clock::now() - start, kLongForAMachine);
}

}  // namespace
}  // namespace fallow::engine
