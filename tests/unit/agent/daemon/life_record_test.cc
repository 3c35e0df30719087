#include "agent/daemon/life_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_history.h"
#include "platform/fake/clock.h"
#include "tests/support/program.h"
#include "tests/unit/agent/daemon/policy/machine_world.h"
#include "tests/unit/agent/daemon/policy/memory_log_files.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using Cause = Absence::Cause;

// Linux' own folder in memory, which any user may write to.
constexpr const char* kMemory = "/dev/shm";

class LifeRecordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(kMemory)) GTEST_SKIP() << "there is no " << kMemory;
  }

  // An agent that lives for so long and then is gone; it ends in good order or not.
  void Live(std::chrono::seconds time, bool ends) {
    PolicyLog log(files_);
    LifeRecord life(clock_, log, signs_);
    PolicyMemory memory;
    life.Begin();
    for (auto left = time; left > 0s; left -= 5s) {
      clock_.Advance(5s);
      life.Look();
      ASSERT_TRUE(
          log.Record(DecideEntry(world_.settings, world_.signals, MomentNow(clock_), memory)));
    }
    if (ends) life.End();
  }

  const fallow::testing::TemporaryFolder folder_{kMemory};
  const std::string sign_ = folder_.path() + "/alive";
  std::vector<std::string> signs_ = {"/none/alive", sign_};
  SimulatedClock clock_;
  const MachineWorld world_;
  FakePolicyLogFiles files_;
};

TEST_F(LifeRecordTest, TheNextAgentKnowsWhenAKilledOneLivedLast) {
  Live(1h, false);
  const WallTime killed = clock_.Wall();
  clock_.Advance(1h);
  Live(5s, true);
  const PolicyHistory history = PolicyHistory::Read(files_).value();
  ASSERT_EQ(history.absences().size(), 2u);
  EXPECT_EQ(history.absences()[0].cause, Cause::kKilled);
  EXPECT_EQ(history.absences()[0].since, killed);
  EXPECT_EQ(history.absences()[1].cause, Cause::kEnded);
  EXPECT_EQ(history.absences()[1].since, clock_.Wall());
  EXPECT_FALSE(std::filesystem::exists(sign_)) << "an end in good order leaves nothing";
}

TEST_F(LifeRecordTest, AnAgentAtRestWritesNothingToTheLog) {
  Live(24h, false);
  EXPECT_EQ(std::ranges::count(files_.current, '\n'), 3) << "its beginning, settings, a decision";
  EXPECT_EQ(LastLifeSign(signs_), clock_.Wall());
}

TEST_F(LifeRecordTest, AClockThatIsSetBackIsWrittenOnceAndAtMostOnceAMinute) {
  PolicyLog log(files_);
  LifeRecord life(clock_, log, signs_);
  life.Begin();
  const auto look = [&](std::chrono::milliseconds step) {
    clock_.Advance(5s);
    clock_.StepWall(step);
    life.Look();
    return std::ranges::count(files_.current, '\n') - 1;
  };
  EXPECT_EQ(look(0s), 0);
  EXPECT_EQ(look(+1h), 0) << "as a sleep does";
  EXPECT_EQ(look(-1s), 0);
  EXPECT_EQ(look(-1min), 1);
  const auto mark = ParseRunMark(files_.current.substr(files_.current.find('\n') + 1));
  ASSERT_TRUE(mark.has_value()) << files_.current;
  EXPECT_EQ(mark->kind, RunMark::Kind::kClockSetBack);
  EXPECT_EQ(mark->moment.wall, clock_.Wall());
  EXPECT_EQ(mark->clock_was, clock_.Wall() + 61s);
  EXPECT_EQ(look(0s), 1);
  EXPECT_EQ(look(-5s), 1) << "not yet";
  for (int i = 0; i < 9; ++i) EXPECT_EQ(look(0s), 1);
  EXPECT_EQ(look(-5s), 2) << "and what came meanwhile";
  EXPECT_NE(files_.current.find(std::to_string(UnixMs(clock_.Wall() + 10s))), std::string::npos);
}

// The last sign of life is earlier than the log's last line.
TEST_F(LifeRecordTest, AKillAfterTheClockWasSetBackIsKnownByItsTime) {
  Live(1h, false);
  {
    PolicyLog log(files_);
    LifeRecord life(clock_, log, signs_);
    life.Begin();
    clock_.Advance(1h);
    life.Look();
    clock_.StepWall(-3h);
    for (int i = 0; i < 360; ++i) {
      clock_.Advance(5s);
      life.Look();
    }
  }
  const WallTime killed = clock_.Wall();
  clock_.Advance(10min);
  Live(5s, true);
  const PolicyHistory history = PolicyHistory::Read(files_).value();
  const auto last = history.absences()[history.absences().size() - 2];
  EXPECT_EQ(last.cause, Cause::kKilled);
  EXPECT_EQ(last.since, killed);
  EXPECT_EQ(last.until->wall, killed + 10min);
}

TEST_F(LifeRecordTest, WithoutAPlaceInMemoryThereIsNoSign) {
  const fallow::testing::TemporaryFolder none;
  signs_ = {none.path() + "/missing/alive"};
  Live(1min, false);
  EXPECT_EQ(LastLifeSign(signs_), std::nullopt);
}

TEST_F(LifeRecordTest, AFullDiskIsNoReasonNotToRun) {
  files_.room_bytes = 0;
  PolicyLog log(files_);
  LifeRecord life(clock_, log, signs_);
  life.Begin();
  life.Look();
  life.End();
  EXPECT_EQ(LastLifeSign(signs_), clock_.Wall());
}

}  // namespace
}  // namespace fallow
