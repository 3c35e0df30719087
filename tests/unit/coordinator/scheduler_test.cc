#include "coordinator/core/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/limits.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

constexpr std::chrono::milliseconds kTarget = seconds(30);

JobView Job(std::string id, std::string account, std::uint64_t pending) {
  JobView job;
  job.job = JobId(std::move(id));
  job.account = AccountId(std::move(account));
  job.pending_count = pending;
  job.model_cached = true;
  return job;
}

std::vector<std::string> Order(const std::vector<JobView>& jobs) {
  std::vector<std::string> order;
  for (const ShardPlan& plan : PlanShards({0, 100}, jobs, 1, kTarget))
    order.push_back(plan.job.value);
  return order;
}

TEST(Scheduler, GivesTheAccountWithFewestLeasedRequestsItsTurn) {
  std::vector<JobView> jobs = {Job("a1", "a", 100), Job("a2", "a", 100), Job("b1", "b", 100)};
  jobs[1].leased_count = 10;  // counts against both of a's jobs
  jobs[2].leased_count = 5;
  EXPECT_THAT(Order(jobs), ElementsAre("b1", "a1", "a2"));
}

TEST(Scheduler, TakesTurnsAmongAccountsThatHoldAlike) {
  std::vector<JobView> jobs = {Job("a1", "a", 100), Job("b1", "b", 100), Job("c1", "c", 100)};
  jobs[0].account_turn = 2;
  jobs[1].account_turn = 1;  // c has never had a turn
  EXPECT_THAT(Order(jobs), ElementsAre("c1", "b1", "a1"));
}

TEST(Scheduler, PutsTheEarlierDeadlineThenTheOlderJobFirst) {
  std::vector<JobView> jobs = {Job("old", "a", 1), Job("young", "a", 1), Job("urgent", "a", 1)};
  jobs[0].expires_at = jobs[1].expires_at = WallTimeFromUnixMs(2000);
  jobs[2].expires_at = WallTimeFromUnixMs(1000);
  EXPECT_THAT(Order(jobs), ElementsAre("urgent", "old", "young"));
}

TEST(Scheduler, PrefersWhatTheDeviceHasCachedUntilAJobIsNeglected) {
  std::vector<JobView> jobs = {Job("elsewhere", "a", 1), Job("cached", "a", 1)};
  jobs[0].model_cached = false;
  EXPECT_THAT(Order(jobs), ElementsAre("cached", "elsewhere"));
  jobs[0].neglected = true;
  EXPECT_THAT(Order(jobs), ElementsAre("elsewhere", "cached"));
}

TEST(Scheduler, LeavesOutJobsWithNothingPending) {
  EXPECT_THAT(Order({Job("all leased", "a", 0)}), ElementsAre());
}

struct SizeCase {
  const char* what;
  double tokens_per_second, tokens_per_request;
  std::uint64_t pending;
  std::size_t max_request_count, live_devices, expected;
};

TEST(Scheduler, CutsShardsToTheDevice) {
  const SizeCase cases[] = {
      {"unknown speed starts small", 0, 10, 5000, 4096, 1, kFirstShardRequests},
      {"unknown requests start small", 1000, 0, 5000, 4096, 1, kFirstShardRequests},
      {"30 s of its speed", 200, 10, 5000, 4096, 1, 600},
      {"never more than it can hold", 200, 10, 5000, 100, 1, 100},
      {"never more than there is", 200, 10, 50, 4096, 1, 50},
      {"never more than a message holds", 1e9, 1, 50'000, 100'000, 1, kMaxRequestsPerLease},
      {"a slow device still gets a batch", 1, 100, 5000, 4096, 1, kMinShardRequests},
      {"one device alone does not split", 200, 10, 600, 4096, 1, 600},
      {"four devices share the rest", 200, 10, 400, 4096, 4, 50},
      {"the rest is not cut to crumbs", 200, 10, 40, 4096, 4, kMinShardRequests},
      {"far from the end the speed decides", 200, 10, 50'000, 4096, 4, 600},
      {"a device that can hold nothing", 200, 10, 5000, 0, 1, 0},
  };
  for (const SizeCase& example : cases) {
    JobView job = Job("j", "a", example.pending);
    job.tokens_per_request = example.tokens_per_request;
    EXPECT_EQ(ShardSize({example.tokens_per_second, example.max_request_count}, job,
                        example.live_devices, kTarget),
              example.expected)
        << example.what;
  }
}

TEST(Scheduler, CutsShardsOfVectorsByReadingSpeedAndUntilThatIsKnownByInputs) {
  JobView job = Job("j", "a", 5000);
  job.asks_for_vectors = true;
  job.tokens_per_request = 10;
  EXPECT_EQ(ShardSize({0, 4096, 200}, job, 1, kTarget), 600u);
  const JobView jobs[] = {job};
  EXPECT_THAT(PlanShards({1e6, 4096, 0}, jobs, 1, kTarget),
              ElementsAre(ShardPlan{job.job, kFirstShardRequests, kFirstShardInputs}));
  EXPECT_THAT(PlanShards({0, 4096, 200}, jobs, 1, kTarget),
              ElementsAre(ShardPlan{job.job, 600, UINT64_MAX}));
  // Which says nothing of how fast it generates.
  job.asks_for_vectors = false;
  EXPECT_EQ(ShardSize({0, 4096, 200}, job, 1, kTarget), kFirstShardRequests);
}

}  // namespace
}  // namespace fallow
