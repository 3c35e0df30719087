#include "agent/daemon/owner_pause.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/daemon/policy/signals.h"
#include "tests/unit/agent/daemon/policy/machine_world.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

// 2026-07-28 10:00.
struct Fixture {
  Moment now = MachineWorld().now;
  OwnerPause pause;

  Status Root(std::chrono::milliseconds time) {
    return pause.Pause(Caller::kMaster, now.wall + time, now);
  }
  Status Seat(std::chrono::milliseconds time) {
    return pause.Pause(Caller::kAtSeat, now.wall + time, now);
  }
};

TEST(OwnerPause, WhoSitsThereEndsAndShortensWhatWasSaidThere) {
  Fixture f;
  EXPECT_EQ(f.pause.until(), std::nullopt);
  ASSERT_TRUE(f.Seat(2h));
  ASSERT_TRUE(f.Seat(1h));
  EXPECT_EQ(f.pause.until(), f.now.wall + 1h);
  EXPECT_EQ(f.pause.NoteFor(Caller::kAtSeat, f.now), "");
  ASSERT_TRUE(f.pause.Resume(Caller::kAtSeat, f.now));
  EXPECT_EQ(f.pause, OwnerPause{});
}

TEST(OwnerPause, WhatRootSaidNobodyElseEndsOrShortens) {
  Fixture f;
  ASSERT_TRUE(f.Root(2h));
  for (const Status& refused : {f.Seat(1h), f.Seat(2h), f.pause.Resume(Caller::kAtSeat, f.now)}) {
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
    EXPECT_EQ(refused.error().message,
              "root paused this machine's agent until 2026-07-28 12:00:00; only root may end or "
              "shorten that: sudo fallow-agent resume");
  }
  EXPECT_EQ(f.pause, OwnerPause{.by_master = f.now.wall + 2h});
  ASSERT_TRUE(f.pause.Resume(Caller::kMaster, f.now));
  EXPECT_EQ(f.pause, OwnerPause{});
}

TEST(OwnerPause, OneWithoutEndCannotBeLengthened) {
  Fixture f;
  ASSERT_TRUE(f.pause.Pause(Caller::kMaster, kPausedWithoutEnd, f.now));
  const Status refused = f.pause.Pause(Caller::kAtSeat, kPausedWithoutEnd, f.now);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "root paused this machine's agent until `sudo fallow-agent resume`; only root may end "
            "or shorten that");
}

TEST(OwnerPause, WhoSitsThereLengthensWhatRootSaidAndTakesThatBack) {
  Fixture f;
  ASSERT_TRUE(f.Root(2h));
  ASSERT_TRUE(f.Seat(3h));
  EXPECT_EQ(f.pause.until(), f.now.wall + 3h);
  EXPECT_THAT(f.pause.NoteFor(Caller::kAtSeat, f.now), HasSubstr("until 2026-07-28 12:00:00"));
  ASSERT_TRUE(f.Seat(2h + 30min)) << "its own part";
  EXPECT_FALSE(f.pause.Resume(Caller::kAtSeat, f.now).has_value());
  EXPECT_EQ(f.pause.until(), f.now.wall + 2h);
}

TEST(OwnerPause, WhatRootSaysTakesThePlaceOfWhatWasSaid) {
  Fixture f;
  ASSERT_TRUE(f.Seat(3h));
  ASSERT_TRUE(f.Root(1h));
  EXPECT_EQ(f.pause.until(), f.now.wall + 1h);
  ASSERT_TRUE(f.Seat(3h));
  ASSERT_TRUE(f.pause.Resume(Caller::kMaster, f.now));
  EXPECT_EQ(f.pause.until(), std::nullopt);
}

TEST(OwnerPause, OneOfRootsThatIsOverBindsNobody) {
  Fixture f;
  ASSERT_TRUE(f.Root(1h));
  f.now.wall += 1h;
  ASSERT_TRUE(f.Seat(1min));
  EXPECT_EQ(f.pause.until(), f.now.wall + 1min);
  ASSERT_TRUE(f.pause.Resume(Caller::kAtSeat, f.now));
}

}  // namespace
}  // namespace fallow
