// The Mutter source against a service that plays GNOME's idle monitor on a private bus.
#include <gmock/gmock.h>

#include <atomic>
#include <limits>

#include "platform/presence.h"
#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::kBoundedWait;
using fallow::testing::PlayedService;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr const char* kName = "org.gnome.Mutter.IdleMonitor";
constexpr const char* kPath = "/org/gnome/Mutter/IdleMonitor/Core";

class PlayedMutter : public PlayedService {
 public:
  PlayedMutter() : PlayedService(kName) {
    On("GetIdletime", [this](sd_bus_message*, sd_bus_message* reply) {
      sd_bus_message_append(reply, "t", idle_ms_.load());
    });
    On("AddUserActiveWatch", [this](sd_bus_message*, sd_bus_message* reply) {
      watch_ = ++added_;
      sd_bus_message_append(reply, "u", watch_.load());
    });
    On("RemoveWatch", [this](sd_bus_message* call, sd_bus_message*) {
      std::uint32_t watch = 0;
      sd_bus_message_read(call, "u", &watch);
      removed_ = watch;
    });
    Start();
  }
  ~PlayedMutter() { Stop(); }

  void BeIdleFor(std::uint64_t idle_ms) { idle_ms_ = idle_ms; }
  void Use() {
    BeIdleFor(0);
    Fire(watch_);
  }
  void Fire(std::uint32_t watch) { Emit(kPath, kName, "WatchFired", "u", watch); }
  std::uint32_t watch() const { return watch_; }      // the newest
  std::uint32_t removed() const { return removed_; }  // the last; 0: none

 private:
  std::atomic<std::uint64_t> idle_ms_ = 60'000;
  std::atomic<std::uint32_t> added_ = 0;
  std::atomic<std::uint32_t> watch_ = 0;
  std::atomic<std::uint32_t> removed_ = 0;
};

class MutterPresence : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) mutter_ = std::make_unique<PlayedMutter>();
  }
  void TearDown() override { mutter_.reset(); }

  std::unique_ptr<PlayedMutter> mutter_;
};

TEST_F(MutterPresence, TellsTheIdleTime) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ((*source)->name(), "mutter");
  auto reading = (*source)->Read();
  EXPECT_TRUE(reading.known) << reading.detail;
  EXPECT_EQ(reading.idle_for, milliseconds(60'000));
  mutter_->BeIdleFor(std::numeric_limits<std::uint64_t>::max());
  reading = (*source)->Read();
  EXPECT_GT(reading.idle_for, std::chrono::hours(24));
  EXPECT_LE(reading.idle_for, std::chrono::hours(24 * 366)) << "no more is believed";
}

TEST_F(MutterPresence, InputEndsAWaitOnce) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  mutter_->Fire(mutter_->watch() + 1);
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 0) << "another program's watch";
  mutter_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  mutter_->Use();
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 1);
  EXPECT_EQ(mutter_->removed(), 0U) << "it ended by firing";
}

// The watch would not fire for it, and the idle time of a minute has begun anew.
TEST_F(MutterPresence, InputBetweenAReadingAndAWaitEndsIt) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_EQ((*source)->Read().idle_for, milliseconds(60'000));
  mutter_->BeIdleFor(60'001);
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 0) << "nobody touched anything";
  mutter_->BeIdleFor(60'000);
  ASSERT_EQ((*source)->Read().idle_for, milliseconds(60'000));
  mutter_->BeIdleFor(1);
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(told, 0) << "from the loop alone";
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
}

TEST_F(MutterPresence, ReplacedAndEndedWaitsAreNotToldAndTheirWatchesGo) {
  auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int replaced = 0;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  const std::uint32_t first = mutter_->watch();
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_EQ(mutter_->removed(), first);
  mutter_->Fire(first);
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(told, 0);
  mutter_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  ASSERT_TRUE((*source)->AwaitInput(nullptr));
  EXPECT_EQ(mutter_->removed(), mutter_->watch());
  mutter_->Use();
  ASSERT_TRUE((*source)->AwaitInput([&] { ++replaced; }));
  source->reset();
  mutter_->Use();
  RunFor(*loop_, milliseconds(50));
  EXPECT_EQ(replaced, 0);
}

TEST_F(MutterPresence, MuttersEndEndsAWaitAndItsReturnIsNoticed) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  mutter_.reset();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr(kName));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_FALSE(NewMutterPresenceSource(*loop_).has_value());
  mutter_ = std::make_unique<PlayedMutter>();
  EXPECT_TRUE((*source)->Read().known);
  RunFor(*loop_, milliseconds(50));
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  mutter_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
}

TEST_F(MutterPresence, BusesEndEndsAWaitAndItsReturnIsNoticed) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  private_bus_.Kill();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  EXPECT_FALSE((*source)->AwaitInput([&] { ++told; }));
  EXPECT_FALSE((*source)->Read().known);
  mutter_.reset();
  ASSERT_TRUE(private_bus_.Start());
  EXPECT_FALSE((*source)->Read().known) << "there is a bus, but no Mutter yet";
  mutter_ = std::make_unique<PlayedMutter>();
  EXPECT_TRUE((*source)->Read().known);
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  mutter_->Use();
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 2; }));
}

TEST_F(MutterPresence, SilentMutterCostsABoundedWaitAndEndsTheOther) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  int told = 0;
  ASSERT_TRUE((*source)->AwaitInput([&] { ++told; }));
  mutter_->FallSilent();
  PresenceReading reading;
  EXPECT_LT(TimeOf([&] { reading = (*source)->Read(); }), kBoundedWait);
  EXPECT_FALSE(reading.known);
  EXPECT_TRUE(RunUntil(*loop_, [&] { return told == 1; }));
  bool waits = true;
  EXPECT_LT(TimeOf([&] { waits = (*source)->AwaitInput([&] { ++told; }); }), 2 * kBoundedWait);
  EXPECT_FALSE(waits);
  mutter_->FallSilent(false);
  EXPECT_TRUE((*source)->Read().known);
}

TEST_F(MutterPresence, NonsenseIsNotTaken) {
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  mutter_->On("GetIdletime", [](sd_bus_message*, sd_bus_message* reply) {
    sd_bus_message_append(reply, "s", "soon");
  });
  const auto reading = (*source)->Read();
  EXPECT_FALSE(reading.known);
  EXPECT_THAT(reading.detail, HasSubstr("something else"));
}

TEST_F(MutterPresence, NoMutterIsUnavailable) {
  mutter_.reset();
  const auto source = NewMutterPresenceSource(*loop_);
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::kUnavailable);
  private_bus_.Kill();
  EXPECT_EQ(NewMutterPresenceSource(*loop_).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fallow
