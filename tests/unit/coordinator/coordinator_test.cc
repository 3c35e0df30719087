// The way of a batch through the whole core, on stores in memory and on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "coordinator/core/limits.h"
#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class CoordinatorTest : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    world_.Start();
    world_.AddModel();
  }
  ScratchDirectory scratch_;
  CoordinatorWorld world_{OpenStore(GetParam(), scratch_), OpenArtifacts(GetParam(), scratch_)};
};

INSTANTIATE_TEST_SUITE_P(Stores, CoordinatorTest,
                         testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                         [](const auto& store) { return StoreKindName(store.param); });

std::vector<nlohmann::json> Lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST_P(CoordinatorTest, TakesABatchFromUploadToOutputFile) {
  const Job job = world_.Submit(BatchText(3));
  ASSERT_EQ(job.state, JobState::kInProgress);
  EXPECT_EQ(job.counts.total, 3u);
  EXPECT_EQ(job.model.value, "tiny");

  world_.WorkOff(world_.Enroll(1));
  const Job done = world_.Look(job.id);
  ASSERT_EQ(done.state, JobState::kCompleted);
  EXPECT_EQ(done.counts, (JobCounts{3, 3, 0}));
  EXPECT_EQ(done.usage, (JobUsage{15, 9}));
  EXPECT_FALSE(done.error_file.has_value());

  const auto lines = Lines(world_.Content(done.output_file));
  ASSERT_EQ(lines.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& line = lines[i];
    EXPECT_EQ(line["custom_id"], fmt::format("r{}", i));
    EXPECT_TRUE(line["error"].is_null());
    EXPECT_EQ(line["response"]["status_code"], 200);
    const auto& body = line["response"]["body"];
    EXPECT_EQ(body["object"], "chat.completion");
    EXPECT_EQ(body["model"], "tiny");
    EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
    EXPECT_EQ(body["choices"][0]["message"]["content"], fmt::format("answer to question {}", i));
    EXPECT_EQ(body["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(body["usage"]["prompt_tokens"], 5);
    EXPECT_EQ(body["usage"]["completion_tokens"], 3);
    EXPECT_EQ(body["usage"]["total_tokens"], 8);
    EXPECT_TRUE(body["created"].is_number_integer());
  }
}

// The same input gives the same bytes, whoever computed which part in which order on which day.
TEST_P(CoordinatorTest, WritesTheSameBytesWhateverTheOrderDevicesAndDay) {
  const std::string input = BatchText(40);
  const Job first = world_.Submit(input);
  world_.WorkOff(world_.Enroll(1));

  world_.loop.Advance(hours(3));
  const Job second = world_.Submit(input, CoordinatorWorld::kBob);
  const DeviceId devices[] = {world_.Enroll(2), world_.Enroll(3)};
  std::vector<std::pair<DeviceId, LeaseGrant>> held;
  for (int i = 0; i < 3; ++i) {
    for (const DeviceId& device : devices) {
      if (auto grant = world_.Grant(device, 7)) held.emplace_back(device, *grant);
    }
  }
  std::ranges::reverse(held);
  for (auto& [device, grant] : held) {
    std::ranges::reverse(grant.requests);
    world_.Finish(device, grant);
  }
  world_.WorkOff(devices[0]);

  const std::string output = world_.Content(world_.Look(first.id).output_file);
  EXPECT_EQ(Lines(output).size(), 40u);
  EXPECT_EQ(output, world_.Content(world_.Look(second.id).output_file));
}

TEST_P(CoordinatorTest, PutsFailedRequestsInTheErrorFile) {
  const Job job = world_.Submit(BatchText(3));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  ASSERT_TRUE(grant.has_value());
  std::vector<AttemptResult> results;
  for (const auto& request : grant->requests) results.push_back(HonestResult(*grant, request));
  results[1].error = Error{ErrorCode::kInvalidArgument, "the prompt has 99 tokens, 64 fit"};
  world_.Report(device, grant->lease, results);
  world_.loop.RunPending();

  const Job done = world_.Look(job.id);
  ASSERT_EQ(done.state, JobState::kCompleted);
  EXPECT_EQ(done.counts, (JobCounts{3, 2, 1}));
  EXPECT_EQ(Lines(world_.Content(done.output_file)).size(), 2u);
  const auto errors = Lines(world_.Content(done.error_file));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0]["custom_id"], "r1");
  EXPECT_EQ(errors[0]["response"]["status_code"], 400);
  EXPECT_EQ(errors[0]["response"]["body"]["error"]["message"], "the prompt has 99 tokens, 64 fit");
}

TEST_P(CoordinatorTest, CancelKeepsWhatIsDoneAndSaysWhatIsNot) {
  const Job job = world_.Submit(BatchText(4));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device, 2);
  ASSERT_TRUE(grant.has_value());
  world_.Report(device, grant->lease, {HonestResult(*grant, grant->requests[0])});

  const auto cancelled = world_.coordinator->jobs().Cancel(CoordinatorWorld::kAlice, job.id);
  ASSERT_TRUE(cancelled.has_value());
  EXPECT_EQ(cancelled->state, JobState::kCancelling);
  // The device hears of it with its next word, and what it still sends is not counted.
  EXPECT_FALSE(
      world_.Report(device, grant->lease, {HonestResult(*grant, grant->requests[1])}).lease_live);
  world_.loop.RunPending();

  const Job ended = world_.Look(job.id);
  ASSERT_EQ(ended.state, JobState::kCancelled);
  EXPECT_EQ(ended.counts, (JobCounts{4, 1, 0}));
  EXPECT_EQ(Lines(world_.Content(ended.output_file)).size(), 1u);
  const auto errors = Lines(world_.Content(ended.error_file));
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0]["error"]["code"], "batch_cancelled");
  EXPECT_TRUE(errors[0]["response"].is_null());
  // A repeated cancel is the same answer; nothing is leased any more.
  EXPECT_EQ(world_.coordinator->jobs().Cancel(CoordinatorWorld::kAlice, job.id)->state,
            JobState::kCancelled);
  EXPECT_FALSE(world_.Grant(device).has_value());
}

TEST_P(CoordinatorTest, ExpiresAJobAfterItsLifetimeWithPartialOutput) {
  world_.options.job_lifetime = hours(1);
  world_.Start();
  const Job job = world_.Submit(BatchText(2));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device, 1);
  ASSERT_TRUE(grant.has_value());
  world_.Finish(device, *grant);
  world_.loop.Advance(hours(1) + seconds(2));
  world_.loop.RunPending();

  const Job ended = world_.Look(job.id);
  ASSERT_EQ(ended.state, JobState::kExpired);
  EXPECT_TRUE(ended.expired_at.has_value());
  EXPECT_EQ(Lines(world_.Content(ended.output_file)).size(), 1u);
  EXPECT_EQ(Lines(world_.Content(ended.error_file))[0]["error"]["code"], "batch_expired");
}

TEST_P(CoordinatorTest, TakesARepeatedCreateForTheSameJobWithinAMinute) {
  const auto file = world_.Upload(BatchText(1));
  ASSERT_TRUE(file.has_value());
  const auto first = world_.CreateJob(file->id);
  const auto again = world_.CreateJob(file->id);
  ASSERT_TRUE(first.has_value() && again.has_value());
  EXPECT_EQ(first->id, again->id);
  world_.loop.Advance(seconds(61));
  EXPECT_NE(world_.CreateJob(file->id)->id, first->id);
}

// A second try after a failure is meant: the submitter has added the model, say.
TEST_P(CoordinatorTest, MakesANewJobWhenTheEqualOneFailed) {
  const auto file = world_.Upload(BatchLineText("a", "hi", "later"));
  const auto first = world_.CreateJob(file->id);
  world_.loop.RunPending();
  ASSERT_EQ(world_.Look(first->id).state, JobState::kFailed);
  world_.AddModel("later");
  const auto second = world_.CreateJob(file->id);
  world_.loop.RunPending();
  EXPECT_NE(second->id, first->id);
  EXPECT_EQ(world_.Look(second->id).state, JobState::kInProgress);
}

TEST_P(CoordinatorTest, RefusesJobsOnWhatIsNotTheCallersFile) {
  const auto file = world_.Upload(BatchText(1));
  EXPECT_EQ(world_.CreateJob(file->id, CoordinatorWorld::kBob).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(world_.CreateJob(FileId("file-none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(world_.coordinator->jobs()
                .Create({CoordinatorWorld::kAlice, file->id, "/v1/completions", "24h", {}})
                .error()
                .code,
            ErrorCode::kInvalidArgument);
}

TEST_P(CoordinatorTest, KeepsAFileThatAnUnfinishedJobReads) {
  const auto file = world_.Upload(BatchText(1));
  const auto job = world_.CreateJob(file->id);
  world_.loop.RunPending();
  FileService& files = world_.coordinator->files();
  EXPECT_EQ(files.Delete(CoordinatorWorld::kAlice, file->id).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(files.Delete(CoordinatorWorld::kBob, file->id).error().code, ErrorCode::kNotFound);
  world_.WorkOff(world_.Enroll(1));
  EXPECT_TRUE(files.Delete(CoordinatorWorld::kAlice, file->id).has_value());
  EXPECT_EQ(world_.artifacts->Open(file->artifact).error().code, ErrorCode::kNotFound);
  // The answers outlive the questions.
  const auto views = world_.coordinator->jobs().Requests(CoordinatorWorld::kAlice, job->id, 0, 10);
  ASSERT_TRUE(views.has_value());
  ASSERT_EQ(views->size(), 1u);
  EXPECT_EQ((*views)[0].line, "");
  EXPECT_THAT((*views)[0].response_json, HasSubstr("answer to question 0"));
}

TEST_P(CoordinatorTest, ShowsRequestsWithTheirLinesAndAnswers) {
  const Job job = world_.Submit(BatchText(3));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device, 2);
  world_.Report(device, grant->lease, {HonestResult(*grant, grant->requests[0])});
  const auto views = world_.coordinator->jobs().Requests(CoordinatorWorld::kAlice, job.id, 0, 10);
  ASSERT_TRUE(views.has_value());
  ASSERT_EQ(views->size(), 3u);
  EXPECT_EQ((*views)[0].line, BatchLineText("r0", "question 0"));
  EXPECT_EQ((*views)[0].result->device, device);
  EXPECT_EQ((*views)[0].request.state, RequestState::kDone);
  EXPECT_EQ((*views)[1].request.state, RequestState::kLeased);
  EXPECT_EQ((*views)[2].request.state, RequestState::kPending);
  EXPECT_EQ(world_.coordinator->jobs().Requests(CoordinatorWorld::kBob, job.id, 0, 10).error().code,
            ErrorCode::kNotFound);
}

TEST_P(CoordinatorTest, ShowsNoMoreOfAPageOfRequestsThanItsLimit) {
  std::string text;
  for (int i = 0; i < 9; ++i)
    text += BatchLineText(fmt::format("r{}", i), std::string(900 << 10, 'x')) + "\n";
  const Job job = world_.Submit(text);
  const auto views = world_.coordinator->jobs().Requests(CoordinatorWorld::kAlice, job.id, 0, 10);
  ASSERT_TRUE(views.has_value());
  ASSERT_EQ(views->size(), 9u);
  std::size_t shown_bytes = 0;
  for (const auto& view : *views) shown_bytes += view.line.size();
  EXPECT_GT(shown_bytes, kMaxRequestsShownBytes / 2);
  EXPECT_LE(shown_bytes, kMaxRequestsShownBytes + kMaxBatchLineBytes);
  EXPECT_EQ(views->back().line, "");
  EXPECT_EQ(views->back().request.custom_id, "r8");
}

// More answers than are read from the store at once.
TEST_P(CoordinatorTest, AssemblesLongAnswersPieceByPiece) {
  constexpr std::size_t kAnswerBytes = 59 * kMaxTextBytesPerToken;
  constexpr std::size_t kCount = 2 * kMaxOutcomeBytes / kAnswerBytes;
  std::string text;
  for (std::size_t i = 0; i < kCount; ++i)
    text += BatchLineText(fmt::format("r{}", i), "hi", "tiny", "") + "\n";
  const Job job = world_.Submit(text);
  const DeviceId device = world_.Enroll(1);
  while (const auto grant = world_.Grant(device)) {
    std::vector<AttemptResult> results;
    for (const auto& request : grant->requests) {
      AttemptResult& result = results.emplace_back(HonestResult(*grant, request));
      result.text.assign(kAnswerBytes, 'a');
      result.token_ids.assign(59, 1);
      result.state_digests.resize(2);
    }
    world_.Report(device, grant->lease, std::move(results));
  }
  world_.loop.RunPending();
  const Job done = world_.Look(job.id);
  ASSERT_EQ(done.state, JobState::kCompleted);
  EXPECT_LT(world_.store->Outcomes(job.id, 0, kCount, Answers::kWith)->size(), kCount);
  const std::string output = world_.Content(done.output_file);
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(output, '\n')), kCount);
}

TEST_P(CoordinatorTest, RemovesFilesPastTheirTimeAndTheirBytes) {
  world_.options.file_lifetime = hours(1);
  world_.Start();
  const auto file = world_.Upload("{}\n");
  world_.loop.Advance(hours(1) - seconds(1));
  EXPECT_TRUE(world_.coordinator->files().Get(CoordinatorWorld::kAlice, file->id).has_value());
  world_.clock.Advance(seconds(2));
  world_.loop.Advance(seconds(61));
  EXPECT_EQ(world_.coordinator->files().Get(CoordinatorWorld::kAlice, file->id).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(world_.artifacts->Open(file->artifact).error().code, ErrorCode::kNotFound);
}

TEST_P(CoordinatorTest, ListsNewestFirstInPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(
        world_.Submit(BatchText(1) + std::string(static_cast<std::size_t>(i), '\n')).id.value);
  }
  JobService& jobs = world_.coordinator->jobs();
  const auto first = jobs.List(CoordinatorWorld::kAlice, {2, std::nullopt});
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->has_more);
  EXPECT_EQ(first->items[0].id.value, ids[4]);
  const auto last = jobs.List(CoordinatorWorld::kAlice, {3, ids[2]});
  ASSERT_TRUE(last.has_value());
  EXPECT_FALSE(last->has_more);
  EXPECT_EQ(last->items.size(), 2u);
  EXPECT_TRUE(jobs.List(CoordinatorWorld::kBob, {2, std::nullopt})->items.empty());
  EXPECT_FALSE(jobs.List(CoordinatorWorld::kAlice, {2, "batch_none"}).has_value());
  EXPECT_FALSE(jobs.List(CoordinatorWorld::kAlice, {0, std::nullopt}).has_value());
}

TEST_P(CoordinatorTest, TellsSubscribersWhatChanged) {
  std::vector<std::string> seen;
  auto subscription = world_.coordinator->events().Subscribe([&](const Event& event) {
    if (std::holds_alternative<WorkAvailable>(event)) seen.push_back("work");
    if (const auto* changed = std::get_if<JobChanged>(&event)) {
      seen.push_back(std::string(JobStateName(world_.Look(changed->job).state)));
    }
  });
  world_.Submit(BatchText(1));
  EXPECT_THAT(seen, ElementsAre("validating", "in_progress", "work"));
  subscription.reset();
  world_.WorkOff(world_.Enroll(1));
  EXPECT_EQ(seen.size(), 3u);
}

TEST(CoordinatorDisk, WaitsForSpaceToWriteAnOutput) {
  auto owned = std::make_unique<MemoryArtifactStore>();
  MemoryArtifactStore& disk = *owned;
  CoordinatorWorld world(NewMemoryStore(), std::move(owned));
  world.Start();
  world.AddModel();
  const Job job = world.Submit(BatchText(2));
  disk.SetDiskFull(true);
  EXPECT_EQ(world.Upload("x").error().code, ErrorCode::kResourceExhausted);
  world.WorkOff(world.Enroll(1));
  EXPECT_EQ(world.Look(job.id).state, JobState::kFinalizing);
  disk.SetDiskFull(false);
  world.loop.Advance(seconds(10));
  EXPECT_EQ(world.Look(job.id).state, JobState::kCompleted);
}

}  // namespace
}  // namespace fallow
