// What every Store promises of jobs and their requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/conformance/store_conformance.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;

TEST_P(StoreConformance, KeepsAJobAsItIs) {
  CreateJob("batch_1");
  EXPECT_EQ(Look("batch_1"), MakeJob("batch_1"));
  EXPECT_FALSE(store().FindJob(JobId("batch_2"))->has_value());
}

TEST_P(StoreConformance, TakesAnEqualCreateForTheSameJobUnlessItCameToNothing) {
  CreateJob("batch_1");
  const Digest fingerprint = Sha256::Of("batch_1");
  const auto create = [&](const std::string& id, WallTime since) {
    return store().CreateJob(MakeJob(id), fingerprint, since)->id.value;
  };
  EXPECT_EQ(create("batch_2", kNow), "batch_1");
  EXPECT_FALSE(store().FindJob(JobId("batch_2"))->has_value());
  EXPECT_EQ(create("batch_3", kNow + seconds(1)), "batch_3");
  ASSERT_TRUE(store().FailJob(JobId("batch_1"), {}, kNow).has_value());
  ASSERT_TRUE(store().StopJob(JobId("batch_3"), StopReason::kCancel, kNow).has_value());
  EXPECT_EQ(create("batch_4", kNow), "batch_4");
  Job orphan = MakeJob("batch_5");
  orphan.input_file = FileId("file-9");
  EXPECT_EQ(store().CreateJob(orphan, Sha256::Of("5"), kNow).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, StartsAJobWithAllItsRequestsOrNotAtAll) {
  StartJob("batch_1", 3);
  const Job job = Look("batch_1");
  EXPECT_EQ(job.state, JobState::kInProgress);
  EXPECT_EQ(job.counts.total, 3u);
  EXPECT_EQ(job.in_progress_at, kNow);
  EXPECT_EQ(job.model_artifact, MakeModel().artifact);
  EXPECT_EQ(LookOpen("batch_1").pending_count, 3u);
  const auto outcomes = store().Outcomes(job.id, 1, 1, Answers::kWith);
  ASSERT_EQ(outcomes->size(), 1u);
  EXPECT_EQ((*outcomes)[0].request,
            (Request{1, "r1", 100, 99, ~0ull - 1, 8, RequestState::kPending}));
  EXPECT_FALSE((*outcomes)[0].result.has_value());
  EXPECT_EQ(store().StartJob(job.id, ModelId("tiny"), MakeModel().artifact, {}, kNow).error().code,
            ErrorCode::kFailedPrecondition);

  CreateJob("batch_2");
  EXPECT_EQ(store()
                .StartJob(JobId("batch_2"), ModelId("tiny"), Sha256::Of("replaced"), {}, kNow)
                .error()
                .code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Look("batch_2").state, JobState::kValidating);
}

TEST_P(StoreConformance, FailsAJobWithItsErrors) {
  CreateJob("batch_1");
  const std::vector<JobError> errors = {{"invalid_json_line", "bad \"ä\"", "", 17},
                                        {"model_not_found", "none", "body.model", 18}};
  ASSERT_TRUE(store().FailJob(JobId("batch_1"), errors, kNow).has_value());
  EXPECT_EQ(Look("batch_1").errors, errors);
  EXPECT_EQ(Look("batch_1").state, JobState::kFailed);
  EXPECT_EQ(store().FailJob(JobId("batch_1"), errors, kNow).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_THAT(*store().OpenJobs(), IsEmpty());
}

TEST_P(StoreConformance, StopsAJobAndItsLeases) {
  StartJob("batch_1", 2);
  Grant("lease_1", "batch_1", 1);
  const auto job = store().StopJob(JobId("batch_1"), StopReason::kCancel, kNow);
  EXPECT_EQ(job->state, JobState::kCancelling);
  EXPECT_EQ(job->cancelling_at, kNow);
  EXPECT_THAT(*store().LiveLeases(), IsEmpty());
  EXPECT_THAT(Grant("lease_2", "batch_1", 1), IsEmpty());
  EXPECT_FALSE(Record("lease_1", {{Answer(0)}}).lease_live);
  EXPECT_EQ(Look("batch_1").counts.completed, 0u);
  EXPECT_EQ(store().FinishJob(JobId("batch_1"), {}, {}, kNow)->state, JobState::kCancelled);

  StartJob("batch_2", 1);
  EXPECT_EQ(store().StopJob(JobId("batch_2"), StopReason::kExpire, kNow)->state,
            JobState::kFinalizing);
  EXPECT_EQ(store().FinishJob(JobId("batch_2"), {}, {}, kNow)->state, JobState::kExpired);
  CreateJob("batch_3");
  EXPECT_EQ(store().StopJob(JobId("batch_3"), StopReason::kCancel, kNow)->state,
            JobState::kCancelled);
  CreateJob("batch_4");
  EXPECT_EQ(store().StopJob(JobId("batch_4"), StopReason::kExpire, kNow)->state,
            JobState::kExpired);
  EXPECT_EQ(store().StopJob(JobId("batch_1"), StopReason::kExpire, kNow)->state,
            JobState::kCancelled);
  EXPECT_EQ(store().StopJob(JobId("batch_9"), StopReason::kCancel, kNow).error().code,
            ErrorCode::kNotFound);
}

TEST_P(StoreConformance, FindsRequestsInTheOrderAsked) {
  StartJob("batch_1", 3);
  const std::uint64_t asked[] = {2, 9, 0};
  const auto found = store().FindRequests(JobId("batch_1"), asked);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].custom_id, "r2");
  EXPECT_EQ((*found)[1].custom_id, "r0");
}

}  // namespace
}  // namespace fallow
