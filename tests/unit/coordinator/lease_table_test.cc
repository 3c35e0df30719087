// Leases under honest, silent and hostile devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "coordinator/core/limits.h"
#include "protocol/limits.h"
#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

class LeaseTableTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.Start();
    world_.AddModel();
  }
  CoordinatorWorld world_;
};

TEST_F(LeaseTableTest, GrantsCheckedRequestsWithSeedsAndLimits) {
  world_.Submit(BatchLineText("a", "hi", "tiny", ",\"seed\":42") + "\n" +
                BatchLineText("b", "hi", "tiny", "") + "\n" +
                BatchLineText("c", "hi", "tiny", ",\"max_tokens\":5000"));
  const auto grant = world_.Grant(world_.Enroll(1));
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->model.model.value, "tiny");
  EXPECT_EQ(grant->model.digest, Sha256::Of("weights of tiny"));
  EXPECT_EQ(grant->duration, world_.options.lease_duration);
  ASSERT_EQ(grant->requests.size(), 3u);
  EXPECT_EQ(grant->requests[0].sampling.seed, 42u);
  EXPECT_NE(grant->requests[1].sampling.seed, grant->requests[2].sampling.seed);
  EXPECT_EQ(grant->requests[1].max_tokens, 64u);  // the model's context
  EXPECT_EQ(grant->requests[2].max_tokens, 64u);
  EXPECT_EQ(grant->requests[2].index, 2u);
}

TEST_F(LeaseTableTest, FreesShardWhenAgentGoesSilent) {
  const Job job = world_.Submit(BatchText(2));
  const DeviceId silent = world_.Enroll(1), other = world_.Enroll(2);
  const auto grant = world_.Grant(silent);
  EXPECT_FALSE(world_.Grant(other).has_value());
  world_.loop.Advance(world_.options.lease_duration + seconds(2));
  const auto again = world_.Grant(other);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->requests, grant->requests);
  EXPECT_FALSE(world_.Report(silent, grant->lease, {}).lease_live);
}

TEST_F(LeaseTableTest, KeepsALeaseThatIsRenewed) {
  world_.Submit(BatchText(2));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  for (int i = 0; i < 5; ++i) {
    world_.loop.Advance(world_.options.lease_duration - seconds(5));
    HeartbeatRequest heartbeat;
    heartbeat.leases = {grant->lease, LeaseId("lease_none")};
    const auto reply = world_.coordinator->leases().Heartbeat(device, heartbeat);
    EXPECT_THAT(reply->ended_leases, ElementsAre(LeaseId("lease_none")));
  }
  EXPECT_TRUE(world_.Report(device, grant->lease, {}).lease_live);
  EXPECT_EQ(world_.coordinator->leases().Live()->size(), 1u);
}

TEST_F(LeaseTableTest, GivesAReleasedShardToTheNextDevice) {
  world_.Submit(BatchText(3));
  const DeviceId owner_came_back = world_.Enroll(1), other = world_.Enroll(2);
  const auto grant = world_.Grant(owner_came_back);
  world_.Report(owner_came_back, grant->lease, {HonestResult(*grant, grant->requests[0])});
  ASSERT_TRUE(world_.coordinator->leases()
                  .Release(owner_came_back, {grant->lease, "the owner is back", {}})
                  .has_value());
  const auto rest = world_.Grant(other);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->requests.size(), 2u);
  EXPECT_EQ(world_.store->FindDevice(owner_came_back)->value().completed_request_count, 1u);
}

TEST_F(LeaseTableTest, IgnoresWhatAHostileDeviceWasNotAsked) {
  const Job job = world_.Submit(BatchText(4));
  const DeviceId hostile = world_.Enroll(1), honest = world_.Enroll(2);
  const auto its = world_.Grant(hostile, 1);
  const auto others = world_.Grant(honest, 1);
  AttemptResult lie = HonestResult(*others, others->requests[0]);
  AttemptResult far = lie;
  far.request_index = ~0ull;
  EXPECT_TRUE(world_.Report(hostile, its->lease, {lie, far}).lease_live);
  EXPECT_FALSE(world_.Report(hostile, others->lease, {lie}).lease_live);
  EXPECT_FALSE(world_.Report(hostile, LeaseId("lease_none"), {lie}).lease_live);
  EXPECT_EQ(world_.Look(job.id).counts.completed, 0u);
  // Using another device's attempt names changes nothing for that device.
  AttemptResult thief = HonestResult(*its, its->requests[0]);
  thief.attempt = HonestResult(*others, others->requests[0]).attempt;
  world_.Report(hostile, its->lease, {thief});
  world_.Finish(honest, *others);
  EXPECT_EQ(world_.Look(job.id).counts.completed, 2u);
}

TEST_F(LeaseTableTest, PausesADeviceWhoseResultsCannotBeTrue) {
  const Job job = world_.Submit(BatchText(10));
  const DeviceId liar = world_.Enroll(1), honest = world_.Enroll(2);
  const auto grant = world_.Grant(liar, 5);
  std::vector<AttemptResult> lies;
  for (const auto& request : grant->requests) {
    lies.push_back(HonestResult(*grant, request));
    lies.back().token_ids.assign(100, 1);
  }
  world_.Report(liar, grant->lease, lies);
  EXPECT_FALSE(world_.Grant(liar).has_value());
  world_.WorkOff(honest);
  EXPECT_EQ(world_.Look(job.id).counts, (JobCounts{10, 10, 0}));
  world_.loop.Advance(kImplausibleResultPause + seconds(1));
  world_.Submit(BatchText(1), CoordinatorWorld::kBob);
  EXPECT_TRUE(world_.Grant(liar).has_value());
}

TEST_F(LeaseTableTest, FailsARequestThatNoDeviceCanFinish) {
  const Job job = world_.Submit(BatchText(2));
  const DeviceId device = world_.Enroll(1);
  int attempts = 0;
  while (const auto grant = world_.Grant(device)) {
    std::vector<AttemptResult> results;
    for (const auto& request : grant->requests) {
      results.push_back(HonestResult(*grant, request));
      if (request.index == 0) {
        results.back().error = Error{ErrorCode::kInternal, "the state is not finite"};
        ++attempts;
      }
    }
    world_.Report(device, grant->lease, results);
    ASSERT_LE(attempts, 10);
    EXPECT_FALSE(world_.Grant(device).has_value()) << "it is to wait for another device first";
    world_.loop.Advance(kElsewherePatience + seconds(1));
  }
  world_.loop.RunPending();
  EXPECT_EQ(attempts, static_cast<int>(kMaxRetries));
  EXPECT_EQ(world_.Look(job.id).state, JobState::kCompleted);
  EXPECT_EQ(world_.Look(job.id).counts, (JobCounts{2, 1, 1}));
}

// Small devices ask all the time and refuse at once, while the large one is still at work.
TEST_F(LeaseTableTest, KeepsForALargerDeviceWhatIsTooLargeForSmallOnes) {
  const Job job = world_.Submit(BatchText(1));
  std::vector<DeviceId> small;
  for (std::uint8_t i = 1; i <= 6; ++i) small.push_back(world_.Enroll(i));
  for (int round = 0; round < 30; ++round) {
    for (const DeviceId& device : small) {
      const auto grant = world_.Grant(device);
      if (!grant) continue;
      AttemptResult refusal = HonestResult(*grant, grant->requests[0]);
      refusal.error = Error{ErrorCode::kResourceExhausted, "the caches hold too little"};
      world_.Report(device, grant->lease, {refusal});
    }
    world_.loop.Advance(seconds(1));
  }
  ASSERT_EQ(world_.Look(job.id).counts.failed, 0u);
  LeaseRequest of_large{.max_request_count = 1};
  of_large.profile.memory_bytes = 1;  // the others tell of none
  const DeviceId large = world_.Enroll(7);
  const auto grant = world_.coordinator->leases().Grant(large, of_large);
  ASSERT_TRUE(grant.has_value() && grant->has_value());
  world_.Finish(large, **grant);
  EXPECT_EQ(world_.Look(job.id).counts, (JobCounts{1, 1, 0}));
}

TEST_F(LeaseTableTest, LimitsTheLeasesOfADevice) {
  world_.Submit(BatchText(100));
  const DeviceId device = world_.Enroll(1);
  for (std::size_t i = 0; i < kMaxLeasesPerDevice; ++i) EXPECT_TRUE(world_.Grant(device, 1));
  EXPECT_FALSE(world_.Grant(device, 1).has_value());
}

TEST_F(LeaseTableTest, SharesAmongAccounts) {
  world_.Submit(BatchText(500));
  world_.Submit(BatchText(10), CoordinatorWorld::kBob);
  const DeviceId device = world_.Enroll(1);
  const auto first = world_.Grant(device, 5);
  const auto second = world_.Grant(device, 5);
  EXPECT_NE(first->job, second->job);
}

TEST_F(LeaseTableTest, GoesOnWithOtherJobsWhenOneInputIsLost) {
  const Job damaged = world_.Submit(BatchText(3));
  const Job healthy = world_.Submit(BatchText(2), CoordinatorWorld::kBob);
  ASSERT_TRUE(world_.artifacts->Remove(damaged.input_artifact).has_value());
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->job, healthy.id);
  world_.Finish(device, *grant);
  EXPECT_FALSE(world_.Grant(device).has_value());
  EXPECT_TRUE(world_.coordinator->leases().Live()->empty());
  EXPECT_EQ(world_.Look(damaged.id).state, JobState::kInProgress);
}

TEST_F(LeaseTableTest, FailsTheRequestsOfAnInputThatStaysLost) {
  const Job job = world_.Submit(BatchText(40));
  const DeviceId device = world_.Enroll(1);
  world_.Finish(device, *world_.Grant(device, 10));
  ASSERT_TRUE(world_.artifacts->Remove(job.input_artifact).has_value());
  for (int minute = 0; minute < 10; ++minute) {
    EXPECT_FALSE(world_.Grant(device, 20).has_value());
    world_.loop.Advance(seconds(60));
  }
  EXPECT_EQ(world_.Look(job.id).counts, (JobCounts{40, 10, 0}));
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(world_.Grant(device, 20).has_value());
  world_.loop.RunPending();
  const Job done = world_.Look(job.id);
  EXPECT_EQ(done.state, JobState::kCompleted);
  EXPECT_EQ(done.counts, (JobCounts{40, 10, 30}));
  EXPECT_THAT(world_.Content(done.error_file), testing::HasSubstr("upload the file again"));
  EXPECT_TRUE(world_.coordinator->leases().Live()->empty());
}

TEST_F(LeaseTableTest, GoesOnWhenAnInputIsBack) {
  const std::string text = BatchText(3);
  const Job job = world_.Submit(text);
  const DeviceId device = world_.Enroll(1);
  ASSERT_TRUE(world_.artifacts->Remove(job.input_artifact).has_value());
  EXPECT_FALSE(world_.Grant(device).has_value());
  ASSERT_TRUE(world_.Upload(text, CoordinatorWorld::kBob).has_value());
  world_.loop.Advance(seconds(61));
  EXPECT_TRUE(world_.Grant(device).has_value());
}

TEST_F(LeaseTableTest, RefusesUnknownDevices) {
  EXPECT_EQ(world_.coordinator->leases().Grant(DeviceId("dev_none"), {}).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(world_.coordinator->leases().Report(DeviceId("dev_none"), {}).error().code,
            ErrorCode::kNotFound);
}

// Goal: whatever devices do in whatever order, each request is settled once, counts agree with the
// requests, and when the trouble stops every job ends with the same bytes. Method: random grants,
// reports (whole, partial, repeated, late, lying), releases, silence and removals from a seed, on
// both stores.
class LeaseInterleaving : public testing::TestWithParam<std::tuple<StoreKind, int>> {};

INSTANTIATE_TEST_SUITE_P(Seeds, LeaseInterleaving,
                         testing::Combine(testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                                          testing::Range(1, 9)));

void CheckBooks(CoordinatorWorld& world, const JobId& id) {
  const auto open = world.store->OpenJobs();
  std::map<RequestState, std::uint64_t> states;
  const auto outcomes = world.store->Outcomes(id, 0, 1000, Answers::kWith);
  for (const auto& outcome : *outcomes) {
    ++states[outcome.request.state];
    const bool settled = outcome.request.state == RequestState::kDone ||
                         outcome.request.state == RequestState::kFailed;
    ASSERT_EQ(outcome.result.has_value(), settled);
  }
  const Job job = world.Look(id);
  ASSERT_EQ(job.counts.completed, states[RequestState::kDone]);
  ASSERT_EQ(job.counts.failed, states[RequestState::kFailed]);
  ASSERT_EQ(job.usage.completion_tokens, 3 * states[RequestState::kDone]);
  for (const OpenJob& entry : *open) {
    if (entry.job.id != id) continue;
    ASSERT_EQ(entry.pending_count, states[RequestState::kPending]);
    ASSERT_EQ(entry.leased_count, states[RequestState::kLeased]);
  }
}

TEST_P(LeaseInterleaving, SettlesEveryRequestOnce) {
  const auto [kind, seed] = GetParam();
  const std::string input = BatchText(60);
  CoordinatorWorld calm;
  calm.Start();
  calm.AddModel();
  const Job reference = calm.Submit(input);
  calm.WorkOff(calm.Enroll(1));

  ScratchDirectory scratch;
  CoordinatorWorld world(OpenStore(kind, scratch), OpenArtifacts(kind, scratch));
  world.Start();
  world.AddModel();
  const Job job = world.Submit(input);
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto below = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  std::vector<DeviceId> devices = {world.Enroll(1), world.Enroll(2), world.Enroll(3)};
  std::vector<std::pair<DeviceId, LeaseGrant>> grants;  // live and dead ones
  for (int step = 0; step < 150 && world.Look(job.id).state == JobState::kInProgress; ++step) {
    const std::size_t act = below(10);
    if (act < 3) {
      const DeviceId& device = devices[below(devices.size())];
      if (auto grant = world.Grant(device, static_cast<std::uint32_t>(1 + below(9))))
        grants.emplace_back(device, *std::move(grant));
    } else if (act < 7 && !grants.empty()) {
      const auto& [device, grant] = grants[below(grants.size())];
      if (!(*world.store->FindDevice(device)).has_value()) continue;
      std::vector<AttemptResult> results;
      for (const auto& request : grant.requests) {
        if (below(3) > 0) continue;
        results.push_back(HonestResult(grant, request));
        if (below(8) == 0) results.back().state_digests.clear();
        if (below(8) == 0) results.push_back(results.back());
      }
      world.Report(device, grant.lease, results);
    } else if (act == 7 && !grants.empty()) {
      const auto& [device, grant] = grants[below(grants.size())];
      (void)world.coordinator->leases().Release(device, {grant.lease, "owner", {}});
    } else if (act == 8) {
      world.loop.Advance(seconds(20 + below(60)));
    } else if (act == 9 && below(5) == 0) {
      const std::size_t which = below(devices.size());
      ASSERT_TRUE(world.coordinator->devices().Remove(devices[which]).has_value());
      devices[which] = world.Enroll(static_cast<std::uint8_t>(10 + step));
    }
    ASSERT_NO_FATAL_FAILURE(CheckBooks(world, job.id)) << "step " << step;
  }
  world.loop.Advance(world.options.lease_duration + seconds(2));
  world.WorkOff(world.Enroll(200));
  ASSERT_NO_FATAL_FAILURE(CheckBooks(world, job.id));
  const Job done = world.Look(job.id);
  ASSERT_EQ(done.state, JobState::kCompleted);
  ASSERT_EQ(done.counts.completed + done.counts.failed, 60u);
  if (done.counts.failed == 0) {
    EXPECT_EQ(world.Content(done.output_file), calm.Content(calm.Look(reference.id).output_file));
  }
}

}  // namespace
}  // namespace fallow
