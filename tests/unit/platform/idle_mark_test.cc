#include "platform/linux/idle_mark.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;

constexpr IdleMark::Time kNoon{12h};

TEST(IdleMark, NothingPassedWhatNobodyWasTold) {
  EXPECT_FALSE(IdleMark().Passed(0ms, kNoon));
}

TEST(IdleMark, AClockThatOnlyGrewTellsOfNoInput) {
  IdleMark mark;
  mark.Told(60s, kNoon);
  EXPECT_FALSE(mark.Passed(60s, kNoon + 1ms));
  EXPECT_FALSE(mark.Passed(65s, kNoon + 5s));
  EXPECT_FALSE(mark.Passed(64'999ms, kNoon + 5s + 900us)) << "whole milliseconds are rounded";
}

TEST(IdleMark, InputAMomentAgoSetsALongIdleTimeBack) {
  IdleMark mark;
  mark.Told(60s, kNoon);
  EXPECT_TRUE(mark.Passed(0ms, kNoon));
  EXPECT_TRUE(mark.Passed(3ms, kNoon + 5ms));
}

TEST(IdleMark, InputAmidInputShowsByAnIdleTimeThatGrewTooLittle) {
  IdleMark mark;
  mark.Told(0ms, kNoon);
  EXPECT_FALSE(mark.Passed(250ms, kNoon + 250ms));
  EXPECT_TRUE(mark.Passed(100ms, kNoon + 250ms));
  mark.Told(100ms, kNoon + 250ms);
  EXPECT_FALSE(mark.Passed(150ms, kNoon + 300ms)) << "that was told";
}

}  // namespace
}  // namespace fallow
