#include "agent/daemon/rest_check.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr SteadyTime kParked{1h};

TEST(RestCheck, OneThatTakesNothingRestsForEver) {
  RestCheck check;
  check.Begin(kParked, 7s);
  for (int look = 1; look < 10'000; ++look) EXPECT_FALSE(check.Look(kParked + look * 5s, 7s));
}

TEST(RestCheck, WhatTheShareAndTheAllowanceCoverIsRest) {
  RestCheck check;
  check.Begin(kParked, 7s);
  EXPECT_FALSE(check.Look(kParked + 10s, 7s + 600ms));
  const RestCheck::Unrest expected{.took = 601ms, .within = 10s, .allowed = 600ms};
  EXPECT_EQ(check.Look(kParked + 10s, 7s + 601ms), expected);
}

TEST(RestCheck, ALongRestEarnsNoRightToWork) {
  RestCheck check;
  check.Begin(kParked, 0ms);
  for (auto time = 5s; time <= 10h; time += 5s) ASSERT_FALSE(check.Look(kParked + time, 0ms));
  milliseconds taken{};
  auto time = 10h + 0s;
  while (!check.Look(kParked + time, taken) && time < 11h) {
    time += 5s;
    taken += 5s;  // one processor
  }
  EXPECT_LE(time, 10h + 5s);
}

// 2 % of a processor, for ever: the allowance does not come again and again.
TEST(RestCheck, ASlowUnrestIsFoundToo) {
  RestCheck check;
  check.Begin(kParked, 0ms);
  bool found = false;
  for (auto time = 5s; time <= 120s && !found; time += 5s)
    found = check.Look(kParked + time, milliseconds(time) / 50).has_value();
  EXPECT_TRUE(found);
}

TEST(RestCheck, WhatCannotBeReadTellsNothing) {
  RestCheck check;
  check.Begin(kParked, std::nullopt);
  EXPECT_FALSE(check.Look(kParked + 5s, std::nullopt));
  EXPECT_FALSE(check.Look(kParked + 10s, 90s)) << "the first that can be read is where it begins";
  EXPECT_FALSE(check.Look(kParked + 15s, std::nullopt));
  EXPECT_TRUE(check.Look(kParked + 20s, 91s));
}

}  // namespace
}  // namespace fallow
