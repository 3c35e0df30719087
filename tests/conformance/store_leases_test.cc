// What every Store promises of leases and the results under them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/conformance/store_conformance.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(StoreConformance, GrantsPendingRequestsInOrderAndOnce) {
  StartJob("batch_1", 5);
  EXPECT_THAT(Grant("lease_1", "batch_1", 2), ElementsAre(0, 1));
  EXPECT_THAT(Grant("lease_2", "batch_1", 2, kOther), ElementsAre(2, 3));
  EXPECT_EQ(LookOpen("batch_1").pending_count, 1u);
  EXPECT_EQ(LookOpen("batch_1").leased_count, 4u);
  EXPECT_EQ(*store().LiveLeaseCount(kDevice), 1u);
  const auto live = store().LiveLeases();
  ASSERT_EQ(live->size(), 2u);
  EXPECT_EQ(
      (*live)[1],
      (Lease{LeaseId("lease_2"), kOther, JobId("batch_1"), {2, 3}, kNow, kNow + seconds(60)}));
  ASSERT_TRUE(store().EndLease(kDevice, LeaseId("lease_1"), kNow)->has_value());
  EXPECT_THAT(Grant("lease_3", "batch_1", 9), ElementsAre(0, 1, 4));
  EXPECT_THAT(Grant("lease_4", "batch_1", 9), IsEmpty());
  EXPECT_THAT(Grant("lease_5", "batch_none", 9), IsEmpty());
}

TEST_P(StoreConformance, CutsAShardByTheLengthOfItsLines) {
  StartJob("batch_1", 5);
  const auto cut = [&](const std::string& lease, std::uint64_t max_line_bytes) {
    const auto granted = store().GrantLease(
        {LeaseId(lease), kDevice, JobId("batch_1"), 100, max_line_bytes, kNow, kNow + seconds(60)});
    return granted->value().requests.size();
  };
  EXPECT_EQ(cut("lease_1", 2 * 99), 2u);
  EXPECT_EQ(cut("lease_2", 1), 1u);  // the first goes whatever its length
}

TEST_P(StoreConformance, SettlesARequestOnceAndCountsItOnce) {
  StartJob("batch_1", 3);
  Grant("lease_1", "batch_1", 3);
  const auto recorded = Record("lease_1", {{Answer(0)}, {Answer(1)}});
  EXPECT_TRUE(recorded.lease_live);
  EXPECT_EQ(recorded.settled_count, 2u);
  EXPECT_FALSE(recorded.job_settled);
  // The same report again, and a different answer for the same request.
  AttemptResult other = Answer(1, "att_2");
  other.text = "changed my mind";
  EXPECT_EQ(Record("lease_1", {{Answer(0)}, {other}}).settled_count, 0u);

  const Job job = Look("batch_1");
  EXPECT_EQ(job.counts, (JobCounts{3, 2, 0}));
  EXPECT_EQ(job.usage, (JobUsage{10, 6}));
  EXPECT_EQ(LookOpen("batch_1").leased_count, 1u);
  const auto outcomes = *store().Outcomes(job.id, 0, 10, Answers::kWith);
  EXPECT_EQ(outcomes[1].result,
            (CanonicalResult{"r1", kDevice, LeaseId("lease_1"), kNow + seconds(1), Answer(1)}));
  EXPECT_EQ(store().FindDevice(kDevice)->value().completed_request_count, 2u);
  EXPECT_EQ(store().FindDevice(kDevice)->value().generated_token_count, 6u);
}

TEST_P(StoreConformance, FinalizesTheJobWithItsLastRequest) {
  StartJob("batch_1", 2);
  Grant("lease_1", "batch_1", 2);
  AttemptResult failure = Answer(1);
  failure.error = Error{ErrorCode::kInvalidArgument, "too long"};
  const auto recorded = Record("lease_1", {{Answer(0)}, {failure}});
  EXPECT_TRUE(recorded.job_settled);
  EXPECT_EQ(Look("batch_1").state, JobState::kFinalizing);
  EXPECT_EQ(Look("batch_1").counts, (JobCounts{2, 1, 1}));
  EXPECT_THAT(*store().LiveLeases(), IsEmpty());
  EXPECT_EQ((*store().Outcomes(JobId("batch_1"), 1, 1, Answers::kWith))[0].result->result.error,
            failure.error);
  EXPECT_FALSE(Record("lease_1", {{Answer(0)}}).lease_live);

  File output = MakeFile("file-out");
  const auto job = store().FinishJob(JobId("batch_1"), output, {}, kNow + seconds(2));
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->state, JobState::kCompleted);
  EXPECT_EQ(job->output_file, output.id);
  EXPECT_FALSE(job->error_file.has_value());
  EXPECT_EQ(*job, Look("batch_1"));
  EXPECT_TRUE(store().FindFile(output.id)->has_value());
  EXPECT_EQ(store().FinishJob(JobId("batch_1"), {}, {}, kNow).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_P(StoreConformance, IgnoresResultsOutsideTheLease) {
  StartJob("batch_1", 4);
  Grant("lease_1", "batch_1", 1);
  EXPECT_EQ(Record("lease_1", {{Answer(2)}, {Answer(99)}}).settled_count, 0u);
  EXPECT_THAT(States("batch_1"), ElementsAre(RequestState::kLeased, RequestState::kPending,
                                             RequestState::kPending, RequestState::kPending));
}

TEST_P(StoreConformance, RefusesAnotherDevicesLease) {
  StartJob("batch_1", 1);
  Grant("lease_1", "batch_1", 1);
  const JudgedReport report{LeaseId("lease_1"), kOther, {{Answer(0)}}, kNow, kNow, 2};
  EXPECT_EQ(store().RecordResults(report).error().code, ErrorCode::kPermissionDenied);
  EXPECT_FALSE(store().EndLease(kOther, LeaseId("lease_1"), kNow)->has_value());
  const LeaseId asked[] = {LeaseId("lease_1"), LeaseId("lease_9")};
  EXPECT_EQ(store().RenewLeases(kOther, asked, kNow + seconds(500))->size(), 2u);
  EXPECT_THAT(*store().RenewLeases(kDevice, asked, kNow + seconds(500)),
              ElementsAre(LeaseId("lease_9")));
  EXPECT_THAT(*store().ExpireLeases(kNow + seconds(499)), IsEmpty());
  JudgedReport unknown = report;
  unknown.lease = LeaseId("lease_9");
  EXPECT_EQ(store().RecordResults(unknown).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, ReturnsTheRequestsOfASilentDevice) {
  StartJob("batch_1", 3);
  Grant("lease_1", "batch_1", 2);
  Grant("lease_2", "batch_1", 1, kOther);
  Record("lease_1", {{Answer(0)}});  // renewed until 61 s
  EXPECT_THAT(*store().ExpireLeases(kNow + seconds(60)),
              ElementsAre(EndedLease{LeaseId("lease_2"), kOther, JobId("batch_1"), 1}));
  EXPECT_THAT(*store().ExpireLeases(kNow + seconds(61)),
              ElementsAre(EndedLease{LeaseId("lease_1"), kDevice, JobId("batch_1"), 1}));
  EXPECT_THAT(States("batch_1"),
              ElementsAre(RequestState::kDone, RequestState::kPending, RequestState::kPending));
  EXPECT_FALSE(store().FindLease(LeaseId("lease_1"))->value().live);
}

// Work is work: it counts if nothing has settled the request, and takes it from whoever holds it
// now.
TEST_P(StoreConformance, TakesALateResultOfAnUnsettledRequest) {
  StartJob("batch_1", 2);
  Grant("lease_1", "batch_1", 2);
  ASSERT_EQ(store().ExpireLeases(kNow + seconds(60))->size(), 1u);
  Grant("lease_2", "batch_1", 1, kOther);  // request 0
  const auto late = Record("lease_1", {{Answer(0)}, {Answer(1)}});
  EXPECT_FALSE(late.lease_live);
  EXPECT_EQ(late.settled_count, 2u);
  EXPECT_TRUE(late.job_settled);
  EXPECT_FALSE(store().FindLease(LeaseId("lease_2"))->value().live);
  EXPECT_EQ(Record("lease_2", {{Answer(0)}}, kOther).settled_count, 0u);
  EXPECT_EQ(Look("batch_1").counts, (JobCounts{2, 2, 0}));
}

TEST_P(StoreConformance, RetriesAnUnusableResultElsewhereAndThenFailsTheRequest) {
  StartJob("batch_1", 1);
  JudgedAttempt unusable{Answer(0), Verdict::kRetry};
  unusable.result.error = Error{ErrorCode::kDataLoss, "refused"};
  Grant("lease_1", "batch_1", 1);
  const auto first = Record("lease_1", {unusable});
  EXPECT_EQ(first.returned_count, 1u);
  EXPECT_THAT(States("batch_1"), ElementsAre(RequestState::kPending));
  EXPECT_EQ(LookOpen("batch_1").pending_count, 1u);
  EXPECT_FALSE(store().FindLease(LeaseId("lease_1"))->value().live);
  EXPECT_EQ(Record("lease_1", {unusable}).returned_count, 0u);

  Grant("lease_2", "batch_1", 1, kOther);
  const auto second = Record("lease_2", {unusable}, kOther);
  EXPECT_EQ(second.settled_count, 1u);
  EXPECT_TRUE(second.job_settled);
  EXPECT_EQ(Look("batch_1").counts, (JobCounts{1, 0, 1}));
}

TEST_P(StoreConformance, LeavesToOthersForAWhileWhatADeviceCouldNotDo) {
  const DeviceId large("dev_large");
  Device with_more_memory = MakeDevice(large, 3);
  with_more_memory.profile.memory_bytes *= 2;
  ASSERT_TRUE(store().EnrollDevice(with_more_memory).has_value());
  StartJob("batch_1", 4);
  const auto offered = [&](const DeviceId& device, WallTime since) {
    LeaseOffer offer{LeaseId("lease_" + device.value + fmt::format("{}", UnixMs(since))),
                     device,
                     JobId("batch_1"),
                     10,
                     1 << 20,
                     kNow,
                     kNow + seconds(60)};
    offer.elsewhere_since = since;
    const auto granted = store().GrantLease(offer);
    EXPECT_TRUE(granted.has_value());
    if (!*granted) return std::vector<std::uint64_t>{};
    EXPECT_TRUE(store().EndLease(device, offer.lease, kNow).has_value());
    return (*granted)->lease.request_indices;
  };
  // Request 1 was too large for its memory, request 2 went wrong; both at kNow + 1 s.
  Grant("lease_1", "batch_1", 4);
  JudgedAttempt too_large{Answer(1), Verdict::kRetry}, wrong{Answer(2), Verdict::kRetry};
  too_large.result.error = Error{ErrorCode::kResourceExhausted, "too large"};
  wrong.result.error = Error{ErrorCode::kInternal, "went wrong"};
  EXPECT_EQ(Record("lease_1", {too_large, wrong}).returned_count, 2u);
  ASSERT_TRUE(store().EndLease(kDevice, LeaseId("lease_1"), kNow).has_value());

  EXPECT_THAT(offered(kDevice, kNow), ElementsAre(0, 3));
  EXPECT_THAT(offered(kOther, kNow), ElementsAre(0, 2, 3));
  EXPECT_THAT(offered(large, kNow), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(offered(kDevice, kNow + seconds(2)), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(LookOpen("batch_1").pending_count, 4u);
}

TEST_P(StoreConformance, FreesTheRequestsOfARemovedDevice) {
  StartJob("batch_1", 2);
  Grant("lease_1", "batch_1", 2);
  const auto ended = store().RemoveDevice(kDevice, kNow);
  EXPECT_THAT(*ended, ElementsAre(EndedLease{LeaseId("lease_1"), kDevice, JobId("batch_1"), 2}));
  EXPECT_FALSE(store().FindDevice(kDevice)->has_value());
  EXPECT_EQ(LookOpen("batch_1").pending_count, 2u);
  EXPECT_EQ(store().RemoveDevice(kDevice, kNow).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace fallow
