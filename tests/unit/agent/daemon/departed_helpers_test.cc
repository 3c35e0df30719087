#include "agent/daemon/departed_helpers.h"

#include <gtest/gtest.h>

namespace fallow {
namespace {

using namespace std::chrono_literals;
using Cause = DepartedHelper::Cause;

constexpr SteadyTime kNow{1h};

std::size_t CountAt(const DepartedHelpers& helpers, SteadyTime now) {
  std::vector<PresenceReading> readings;
  helpers.AddReadings(now, readings);
  return readings.size();
}

TEST(DepartedHelpers, EachCountsAsUseUntilItsTimeIsOver) {
  DepartedHelpers helpers(4);
  EXPECT_EQ(helpers.next_end(), std::nullopt);
  helpers.Add({.user_id = 1, .user = "anna", .why = "vanished", .until = kNow + 10s});
  helpers.Add({.user_id = 2, .user = "ben", .why = "vanished", .until = kNow + 5s});
  EXPECT_EQ(helpers.next_end(), kNow + 5s);
  std::vector<PresenceReading> readings;
  helpers.AddReadings(kNow, readings);
  ASSERT_EQ(readings.size(), 2u);
  EXPECT_EQ(readings[0].kind, PresenceKind::kDistrusted);
  EXPECT_EQ(readings[0].detail, "vanished");
  EXPECT_EQ(CountAt(helpers, kNow + 5s), 1u);
  EXPECT_FALSE(helpers.Expire(kNow + 4s));
  EXPECT_TRUE(helpers.Expire(kNow + 5s));
  EXPECT_EQ(helpers.next_end(), kNow + 10s);
}

TEST(DepartedHelpers, ANewOneOfAUserAndCauseTakesThePlaceAndLastsAsLong) {
  DepartedHelpers helpers(4);
  helpers.Add({.user_id = 1, .why = "before", .until = kNow + 10s});
  helpers.Add({.user_id = 1, .why = "after", .until = kNow + 5s});
  std::vector<PresenceReading> readings;
  helpers.AddReadings(kNow + 9s, readings);
  ASSERT_EQ(readings.size(), 1u);
  EXPECT_EQ(readings[0].detail, "after");
}

TEST(DepartedHelpers, BeyondTheLimitTheOneThatEndsFirstMakesRoom) {
  DepartedHelpers helpers(3);
  for (int user = 0; user < 10; ++user)
    helpers.Add({.user_id = user, .until = kNow + std::chrono::seconds(user + 1)});
  EXPECT_EQ(CountAt(helpers, kNow), 3u);
  EXPECT_EQ(helpers.next_end(), kNow + 8s);
}

TEST(DepartedHelpers, ALoginThatIsWatchedAgainIsForgottenButNotWhatItDid) {
  DepartedHelpers helpers(4);
  helpers.Add({.cause = Cause::kVanished, .user_id = 1, .session = "2", .until = kNow + 5s});
  helpers.Add({.cause = Cause::kMisbehaved, .user_id = 1, .session = "2", .until = kNow + 5s});
  helpers.ForgetVanished(1, "3");
  EXPECT_EQ(CountAt(helpers, kNow), 2u);
  helpers.ForgetVanished(1, "2");
  EXPECT_EQ(CountAt(helpers, kNow), 1u);
  EXPECT_TRUE(helpers.Misbehaved(1, kNow));
  EXPECT_FALSE(helpers.Misbehaved(2, kNow));
  EXPECT_FALSE(helpers.Misbehaved(1, kNow + 5s));
}

}  // namespace
}  // namespace fallow
