// The Wayland source against a compositor that the test plays, for what real ones do not do on
// demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "platform/presence.h"
#include "tests/integration/platform/played_compositor.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::PlayedCompositor;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

// A wait of 200 ms, on a machine that is busy with much else.
constexpr milliseconds kBoundedWait{5'000};
constexpr milliseconds kIdleAfter{2'000};  // what the source asks for

class WaylandPresencePlayed : public ::testing::Test {
 protected:
  void Play(PlayedCompositor::Options options = {}) {
    compositor_ = std::make_unique<PlayedCompositor>(path_, options);
  }
  Result<std::unique_ptr<PresenceSource>> Open() { return NewWaylandPresenceSource(*loop_, path_); }

  const std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/wayland-7";
  std::unique_ptr<PlayedCompositor> compositor_;
};

TEST_F(WaylandPresencePlayed, SeatIsInUseUntilItIsSaidToBeIdle) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ(compositor_->timeout_ms(), kIdleAfter.count());
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.idle_for, milliseconds(0));
  EXPECT_EQ(reading.detail, "1 seat, ext_idle_notifier_v1");
  const auto start = steady_clock::now();
  compositor_->Idle();
  RunFor(*loop_, milliseconds(30));
  reading = (*source)->Read();
  const auto read = steady_clock::now();
  EXPECT_GE(reading.idle_for, kIdleAfter);
  EXPECT_LE(reading.idle_for, kIdleAfter + (read - start));
  RunFor(*loop_, milliseconds(30));
  const auto passed = std::chrono::floor<milliseconds>(steady_clock::now() - read);
  EXPECT_GE((*source)->Read().idle_for, reading.idle_for + passed);
  compositor_->Use();
  EXPECT_EQ((*source)->Read().idle_for, milliseconds(0));
}

TEST_F(WaylandPresencePlayed, OlderProtocolServesWhereTheNewerIsAbsent) {
  Play({.ext_idle = false, .kde_idle = true});
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  EXPECT_GE((*source)->Read().idle_for, kIdleAfter);
  EXPECT_EQ((*source)->Read().detail, "1 seat, org_kde_kwin_idle");
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
}

TEST_F(WaylandPresencePlayed, NewerProtocolIsPreferred) {
  Play({.ext_idle = true, .kde_idle = true});
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->Read().detail, "1 seat, ext_idle_notifier_v1");
}

TEST_F(WaylandPresencePlayed, InputEndsAWaitOnce) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  ASSERT_GE((*source)->Read().idle_for, kIdleAfter);
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(30));
  EXPECT_EQ(told, 0);
  compositor_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  compositor_->Idle();
  compositor_->Use();
  RunFor(*loop_, milliseconds(30));
  EXPECT_EQ(told, 1);
}

// Nothing would tell the next input: the seat is not idle for the compositor.
TEST_F(WaylandPresencePlayed, WaitOnASeatInUseEndsAtOnce) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
}

TEST_F(WaylandPresencePlayed, InputBetweenAReadingAndAWaitEndsIt) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  ASSERT_GE((*source)->Read().idle_for, kIdleAfter);
  compositor_->Use();
  compositor_->Idle();
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(30));
  EXPECT_EQ(told, 1) << "once";
}

TEST_F(WaylandPresencePlayed, InputThatAReadingToldOfDoesNotEndAWait) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  compositor_->Use();
  compositor_->Idle();
  EXPECT_TRUE((*source)->Read().known);
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(30));
  EXPECT_EQ(told, 0);
  EXPECT_GE((*source)->Read().idle_for, kIdleAfter);
}

TEST_F(WaylandPresencePlayed, ReplacedAndEndedWaitsAreNotTold) {
  Play();
  auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int replaced = 0;
  int told = 0;
  compositor_->Idle();
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  compositor_->Idle();
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput(nullptr));
  compositor_->Use();
  RunFor(*loop_, milliseconds(30));
  compositor_->Idle();
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  source->reset();
  compositor_->Use();
  RunFor(*loop_, milliseconds(30));
  EXPECT_EQ(replaced, 0);
  EXPECT_EQ(told, 1);
}

TEST_F(WaylandPresencePlayed, SeatThatWasUsedLastCounts) {
  Play({.seats = 2});
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle(0);
  EXPECT_EQ((*source)->Read().idle_for, milliseconds(0));
  compositor_->Idle(1);
  EXPECT_GE((*source)->Read().idle_for, kIdleAfter);
  EXPECT_EQ((*source)->Read().detail, "2 seats, ext_idle_notifier_v1");
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Use(1);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  EXPECT_EQ((*source)->Read().idle_for, milliseconds(0));
}

TEST_F(WaylandPresencePlayed, SeatsComeAndGo) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle(0);
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->AddSeat();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; })) << "it is in use at first";
  EXPECT_EQ((*source)->Read().idle_for, milliseconds(0));
  EXPECT_EQ(compositor_->notices(), 2U);
  compositor_->Idle(1);
  EXPECT_GE((*source)->Read().idle_for, kIdleAfter);
  compositor_->RemoveSeat(0);
  EXPECT_GE((*source)->Read().idle_for, kIdleAfter);
  EXPECT_EQ((*source)->Read().detail, "1 seat, ext_idle_notifier_v1");
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->RemoveSeat(1);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
  const auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("has no seat"));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; }));
  compositor_->AddSeat();
  EXPECT_TRUE((*source)->Read().known);
}

TEST_F(WaylandPresencePlayed, MoreSeatsThanCanBeWatchedAreNamed) {
  Play({.seats = 17});
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("more than 16 seats"));
}

TEST_F(WaylandPresencePlayed, ClockThatIsWithdrawnIsNotTrusted) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->WithdrawExtIdle();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  const auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("withdrew"));
}

TEST_F(WaylandPresencePlayed, CompositorsEndAndReturnAreNoticed) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_.reset();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; }));
  for (int i = 0; i < 2; ++i) {
    const auto reading = (*source)->Read();
    EXPECT_FALSE(reading.known);
    EXPECT_THAT(reading.detail, HasSubstr(path_));
  }
  Play();
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.idle_for, milliseconds(0));
  EXPECT_EQ(told, 1);
}

TEST_F(WaylandPresencePlayed, EndBetweenReadingsIsNamed) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_.reset();
  const auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("has ended"));
}

TEST_F(WaylandPresencePlayed, HangingCompositorCostsABoundedWaitAndKeepsItsClock) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  ASSERT_GE((*source)->Read().idle_for, kIdleAfter);
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->WhileHanging([&] {
    for (int i = 0; i < 2; ++i) {
      const auto start = steady_clock::now();
      const auto reading = (*source)->Read();
      EXPECT_LT(steady_clock::now() - start, kBoundedWait);
      EXPECT_FALSE(reading.known);
      EXPECT_THAT(reading.detail, HasSubstr("does not answer"));
    }
    EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
    const auto start = steady_clock::now();
    const auto another = Open();
    EXPECT_LT(steady_clock::now() - start, kBoundedWait);
    ASSERT_FALSE(another.has_value()) << "connects, but is not greeted";
    EXPECT_EQ(another.error().code, ErrorCode::kUnavailable);
  });
  const auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_GE(reading.idle_for, kIdleAfter);
}

TEST_F(WaylandPresencePlayed, CompositorThatFloodsIsDistrusted) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Flood(500);
  EXPECT_TRUE((*source)->Read().known) << "that is not yet a flood";
  EXPECT_EQ(told, 0);
  compositor_->Flood(2'000);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  for (int i = 0; i < 2; ++i) {
    const auto reading = (*source)->Read();
    EXPECT_FALSE(reading.known);
    EXPECT_EQ(reading.kind, PresenceKind::kDistrusted);
    EXPECT_THAT(reading.detail, HasSubstr("more than 1000 events in one second"));
  }
  EXPECT_EQ(compositor_->notices(), 0U) << "the connection is closed";
}

TEST_F(WaylandPresencePlayed, ProtocolErrorIsNamed) {
  Play();
  const auto source = Open();
  ASSERT_TRUE(source.has_value()) << source.error().message;
  compositor_->Idle();
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  compositor_->Complain();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  compositor_->Idle();
  const auto source2 = Open();
  ASSERT_TRUE(source2.has_value()) << source2.error().message;
  compositor_->Complain();
  EXPECT_THAT((*source2)->Read().detail, HasSubstr("protocol error 7 about ext_idle_notification"));
}

TEST_F(WaylandPresencePlayed, CompositorWithoutAnIdleClockIsNamed) {
  Play({.ext_idle = false});
  const auto source = Open();
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(source.error().message, HasSubstr("neither ext_idle_notifier_v1 nor"));
}

TEST_F(WaylandPresencePlayed, NobodyThereIsUnavailable) {
  const auto nobody = Open();
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nobody.error().message, HasSubstr(path_));
  EXPECT_EQ(NewWaylandPresenceSource(*loop_, "/" + std::string(200, 'x')).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fallow
