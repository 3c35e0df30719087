// A coordinator killed at any moment goes on from what its store and artifacts hold.
//
// Method: the files on disk are copied while the coordinator runs, as they are, and a second
// coordinator is started on the copy. What the first had acknowledged by then, the second must
// know; both must end with the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class RestartTest : public testing::Test {
 protected:
  RestartTest() {
    world_.Start();
    world_.AddModel();
  }

  // What a SIGKILL now would leave, under a new coordinator.
  std::unique_ptr<CoordinatorWorld> KillAndRestart() {
    copies_.push_back(std::make_unique<ScratchDirectory>());
    fs::copy(scratch_.path(), copies_.back()->path(), fs::copy_options::recursive);
    auto world =
        std::make_unique<CoordinatorWorld>(OpenStore(StoreKind::kSqlite, *copies_.back()),
                                           OpenArtifacts(StoreKind::kSqlite, *copies_.back()));
    world->clock.Advance(world_.clock.Wall() - world->clock.Wall());
    // A new process draws other random numbers.
    world->random = SeededRandom(100 + copies_.size());
    world->Start();
    return world;
  }

  // Lets the restarted coordinator do the rest, with the leases of the dead one running out.
  std::string OutputAfterRestart(const JobId& job) {
    const auto world = KillAndRestart();
    world->loop.RunPending();
    world->loop.Advance(world->options.lease_duration + seconds(2));
    world->WorkOff(world->Enroll(9));
    const Job done = world->Look(job);
    EXPECT_EQ(done.state, JobState::kCompleted);
    EXPECT_EQ(done.counts, (JobCounts{20, 20, 0}));
    EXPECT_EQ(done.usage.completion_tokens, 60u);
    return world->Content(done.output_file);
  }

  ScratchDirectory scratch_;
  std::vector<std::unique_ptr<ScratchDirectory>> copies_;
  CoordinatorWorld world_{OpenStore(StoreKind::kSqlite, scratch_),
                          OpenArtifacts(StoreKind::kSqlite, scratch_)};
};

TEST_F(RestartTest, EndsWithTheSameBytesWhereverItIsKilled) {
  const auto file = world_.Upload(BatchText(20));
  const auto job = world_.CreateJob(file->id);
  ASSERT_TRUE(job.has_value());
  std::vector<std::string> outputs = {OutputAfterRestart(job->id)};  // before validation
  world_.loop.RunPending();
  outputs.push_back(OutputAfterRestart(job->id));  // in progress
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  ASSERT_TRUE(grant.has_value());
  outputs.push_back(OutputAfterRestart(job->id));  // leased
  for (std::size_t i = 0; i < 20; ++i) {
    world_.Report(device, grant->lease, {HonestResult(*grant, grant->requests[19 - i])});
    if (i % 5 == 4) outputs.push_back(OutputAfterRestart(job->id));  // after each fifth result
  }
  ASSERT_EQ(world_.Look(job->id).state, JobState::kFinalizing);
  world_.loop.RunPending();
  outputs.push_back(OutputAfterRestart(job->id));  // completed
  EXPECT_EQ(std::ranges::count(outputs, world_.Content(world_.Look(job->id).output_file)),
            static_cast<std::ptrdiff_t>(outputs.size()));
}

TEST_F(RestartTest, KnowsEveryAcknowledgedResultAndTakesTheRestOfTheLease) {
  const Job job = world_.Submit(BatchText(10));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  world_.Report(device, grant->lease, {HonestResult(*grant, grant->requests[3])});
  const auto restarted = KillAndRestart();
  EXPECT_EQ(restarted->Look(job.id).counts.completed, 1u);
  // The device has noticed nothing: it repeats a report and goes on with its lease.
  const auto reply = restarted->Report(
      device, grant->lease,
      {HonestResult(*grant, grant->requests[3]), HonestResult(*grant, grant->requests[4])});
  EXPECT_TRUE(reply.lease_live);
  EXPECT_EQ(restarted->Look(job.id).counts.completed, 2u);
}

TEST_F(RestartTest, EndsACancelThatWasUnderWay) {
  const Job job = world_.Submit(BatchText(3));
  ASSERT_TRUE(world_.coordinator->jobs().Cancel(CoordinatorWorld::kAlice, job.id).has_value());
  const auto restarted = KillAndRestart();
  restarted->loop.RunPending();
  EXPECT_EQ(restarted->Look(job.id).state, JobState::kCancelled);
}

TEST_F(RestartTest, KeepsKeysAndTheJoinToken) {
  const auto made =
      world_.coordinator->keys().Create(CoordinatorWorld::kAlice, Role::kOperator, "a");
  const std::string token = *world_.coordinator->devices().JoinToken();
  const auto restarted = KillAndRestart();
  EXPECT_EQ(restarted->coordinator->keys().Find(made->secret)->value(), made->key);
  EXPECT_EQ(*restarted->coordinator->devices().JoinToken(), token);
}

}  // namespace
}  // namespace fallow
