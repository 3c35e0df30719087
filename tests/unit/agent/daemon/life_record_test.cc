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
