// What every Store promises: one suite, run on each.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/store/store.h"
#include "tests/support/stores.h"

namespace fallow {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const AccountId kAlice{"alice"};
const AccountId kBob{"bob"};
const DeviceId kDevice{"dev_1"};
const DeviceId kOther{"dev_2"};
const WallTime kNow = WallTimeFromUnixMs(1'700'000'000'000);

File MakeFile(const std::string& id, const AccountId& account = kAlice) {
  File file;
  file.id = FileId(id);
  file.account = account;
  file.filename = "batch.jsonl";
  file.artifact = Sha256::Of("bytes of " + id);
  file.size_bytes = 10;
  file.created_at = kNow;
  file.expires_at = kNow + seconds(100);
  return file;
}

Model MakeModel(const std::string& id = "tiny") {
  Model model;
  model.id = ModelId(id);
  model.artifact = Sha256::Of("weights of " + id);
  model.size_bytes = 7;
  model.card_json = "{}";
  model.created_at = kNow;
  return model;
}

Job MakeJob(const std::string& id, const AccountId& account = kAlice) {
  Job job;
  job.id = JobId(id);
  job.account = account;
  job.endpoint = "/v1/chat/completions";
  job.completion_window = "24h";
  job.input_file = FileId("file-1");
  job.input_artifact = Sha256::Of("bytes of file-1");
  job.metadata = {{"a", "b"}, {"ä", "\"\n"}};
  job.created_at = kNow;
  job.expires_at = kNow + seconds(86'400);
  return job;
}

Device MakeDevice(const DeviceId& id, std::uint8_t key_byte) {
  Device device;
  device.id = id;
  device.public_key = Bytes(32, key_byte);
  device.profile.hostname = "host";
  device.profile.memory_bytes = 1ull << 40;
  device.enrolled_at = device.last_seen_at = kNow;
  return device;
}

AttemptResult Answer(std::uint64_t index, const std::string& attempt = "att_1") {
  AttemptResult result;
  result.attempt = AttemptId(attempt);
  result.request_index = index;
  result.finish_reason = FinishReason::kLength;
  result.text = std::string("a\0ä", 4);
  result.token_ids = {1, 70'000, 0xffffffff};
  result.state_digests = {Sha256::Of("state"), Sha256::Of("more")};
  result.prompt_token_count = 5;
  return result;
}

class StoreConformance : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store().AddFile(MakeFile("file-1")).has_value());
    ASSERT_TRUE(store().AddModel(MakeModel()).has_value());
    ASSERT_TRUE(store().EnrollDevice(MakeDevice(kDevice, 1)).has_value());
    ASSERT_TRUE(store().EnrollDevice(MakeDevice(kOther, 2)).has_value());
  }
  Store& store() { return *store_; }

  void CreateJob(const std::string& id) {
    const auto made = store().CreateJob(MakeJob(id), Sha256::Of(id), kNow);
    ASSERT_TRUE(made.has_value()) << made.error().message;
  }
  // A job in progress with `count` requests of 100 bytes each.
  void StartJob(const std::string& id, std::size_t count) {
    CreateJob(id);
    std::vector<Request> requests;
    for (std::size_t i = 0; i < count; ++i)
      requests.push_back({i, fmt::format("r{}", i), 100 * i, 99, ~0ull - i, 8});
    const auto started =
        store().StartJob(JobId(id), ModelId("tiny"), MakeModel().artifact, requests, kNow);
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }
  std::vector<std::uint64_t> Grant(const std::string& lease, const std::string& job,
                                   std::size_t max_count, const DeviceId& device = kDevice) {
    const auto granted = store().GrantLease(
        {LeaseId(lease), device, JobId(job), max_count, 1 << 20, kNow, kNow + seconds(60)});
    EXPECT_TRUE(granted.has_value());
    return *granted ? (*granted)->lease.request_indices : std::vector<std::uint64_t>{};
  }
  RecordedReport Record(const std::string& lease, std::vector<JudgedAttempt> attempts,
                        const DeviceId& device = kDevice) {
    const auto recorded = store().RecordResults(
        {LeaseId(lease), device, std::move(attempts), kNow + seconds(1), kNow + seconds(61), 2});
    EXPECT_TRUE(recorded.has_value()) << recorded.error().message;
    return recorded.value_or(RecordedReport{});
  }
  Job Look(const std::string& id) { return store().FindJob(JobId(id))->value(); }
  OpenJob LookOpen(const std::string& id) {
    const auto jobs = store().OpenJobs();
    for (const OpenJob& open : *jobs)
      if (open.job.id.value == id) return open;
    ADD_FAILURE() << id << " is not open";
    return {};
  }
  std::vector<RequestState> States(const std::string& job) {
    std::vector<RequestState> states;
    const auto outcomes = store().Outcomes(JobId(job), 0, 100, Answers::kWith);
    for (const auto& outcome : *outcomes) states.push_back(outcome.request.state);
    return states;
  }

 private:
  ScratchDirectory scratch_;
  std::unique_ptr<Store> store_ = OpenStore(GetParam(), scratch_);
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance,
                         testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                         [](const auto& store) { return StoreKindName(store.param); });

TEST_P(StoreConformance, KeepsSettings) {
  EXPECT_EQ(store().Setting("x")->has_value(), false);
  ASSERT_TRUE(store().PutSetting("x", "1").has_value());
  ASSERT_TRUE(store().PutSetting("x", "2").has_value());
  EXPECT_EQ(store().Setting("x")->value(), "2");
}

TEST_P(StoreConformance, KeepsKeysAndWhenTheyWereRevoked) {
  ApiKey key{KeyId("key_1"), kAlice, Role::kOperator, "laptop", "sk-fallow-ab", Sha256::Of("s"),
             kNow,           {}};
  ASSERT_TRUE(store().AddKey(key).has_value());
  EXPECT_EQ(store().AddKey(key).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindKey(Sha256::Of("s"))->value(), key);
  EXPECT_FALSE(store().FindKey(Sha256::Of("t"))->has_value());
  EXPECT_EQ(store().RevokeKey(KeyId("key_2"), kNow).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store().RevokeKey(key.id, kNow).has_value());
  ASSERT_TRUE(store().RevokeKey(key.id, kNow + seconds(9)).has_value());
  EXPECT_EQ(store().FindKey(Sha256::Of("s"))->value().revoked_at, kNow);
  EXPECT_EQ(store().Keys()->size(), 1u);
}

TEST_P(StoreConformance, ListsFilesNewestFirstByAccountAndPurpose) {
  ASSERT_TRUE(store().AddFile(MakeFile("file-2", kBob)).has_value());
  File output = MakeFile("file-3");
  output.purpose = FilePurpose::kBatchOutput;
  ASSERT_TRUE(store().AddFile(output).has_value());
  EXPECT_EQ(store().AddFile(output).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindFile(FileId("file-3"))->value(), output);
  const auto ids = [&](const ListQuery& query, std::optional<FilePurpose> purpose) {
    std::vector<std::string> found;
    const auto files = store().Files(query, purpose);
    for (const File& file : *files) found.push_back(file.id.value);
    return found;
  };
  EXPECT_THAT(ids({kAlice, {}, 10}, {}), ElementsAre("file-3", "file-1"));
  EXPECT_THAT(ids({{}, {}, 2}, {}), ElementsAre("file-3", "file-2"));
  EXPECT_THAT(ids({kAlice, "file-3", 10}, {}), ElementsAre("file-1"));
  EXPECT_THAT(ids({kAlice, {}, 10}, FilePurpose::kBatch), ElementsAre("file-1"));
  EXPECT_EQ(store().Files({kAlice, "file-9", 10}, {}).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(StoreConformance, SaysWhetherARemovedFilesBytesAreStillNeeded) {
  File twin = MakeFile("file-2");
  twin.artifact = MakeFile("file-1").artifact;
  ASSERT_TRUE(store().AddFile(twin).has_value());
  EXPECT_FALSE(store().RemoveFile(FileId("file-2"))->unused);
  EXPECT_TRUE(*store().ArtifactUsed(twin.artifact));
  const auto removed = store().RemoveFile(FileId("file-1"));
  EXPECT_TRUE(removed->unused);
  EXPECT_EQ(removed->artifact, twin.artifact);
  EXPECT_FALSE(*store().ArtifactUsed(twin.artifact));
  EXPECT_EQ(store().RemoveFile(FileId("file-1")).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, KeepsFilesAndModelsOfOpenJobs) {
  StartJob("batch_1", 1);
  EXPECT_EQ(store().RemoveFile(FileId("file-1")).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store().RemoveModel(ModelId("tiny")).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(1000), 10), IsEmpty());
  ASSERT_TRUE(store().StopJob(JobId("batch_1"), StopReason::kCancel, kNow).has_value());
  ASSERT_TRUE(store().FinishJob(JobId("batch_1"), {}, {}, kNow).has_value());
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(100), 10), ElementsAre(FileId("file-1")));
  EXPECT_THAT(*store().ExpiredFiles(kNow + seconds(99), 10), IsEmpty());
  EXPECT_TRUE(store().RemoveFile(FileId("file-1")).has_value());
  EXPECT_TRUE(store().RemoveModel(ModelId("tiny")).has_value());
}

TEST_P(StoreConformance, KeepsAModelsNameForOneFile) {
  EXPECT_TRUE(store().AddModel(MakeModel()).has_value());
  Model other = MakeModel();
  other.artifact = Sha256::Of("other");
  EXPECT_EQ(store().AddModel(other).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(store().FindModel(ModelId("tiny"))->value(), MakeModel());
  EXPECT_THAT(*store().Models(), ElementsAre(MakeModel()));
  EXPECT_EQ(store().RemoveModel(ModelId("none")).error().code, ErrorCode::kNotFound);
}

TEST_P(StoreConformance, GivesAKnownKeyItsDeviceBack) {
  Device again = MakeDevice(DeviceId("dev_new"), 1);
  again.profile.hostname = "renamed";
  const auto enrolled = store().EnrollDevice(again);
  EXPECT_EQ(enrolled->id, kDevice);
  EXPECT_EQ(store().FindDevice(kDevice)->value().profile.hostname, "renamed");
  EXPECT_FALSE(store().FindDevice(DeviceId("dev_new"))->has_value());
  EXPECT_EQ(store().Devices()->size(), 2u);
  EXPECT_FALSE(store().FindDevice(kDevice)->value().status.yields.has_value());
  const DeviceStatus status{DeviceState::kInUse, "a key was pressed", 12.5, 900.25,
                            YieldFigures{214, 8.25, 31.5}};
  ASSERT_TRUE(
      store().UpdateDevice(kDevice, enrolled->profile, status, kNow + seconds(5)).has_value());
  EXPECT_EQ(store().FindDevice(kDevice)->value().status, status);
  EXPECT_EQ(store().UpdateDevice(DeviceId("x"), {}, {}, kNow).error().code, ErrorCode::kNotFound);
}

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

TEST_P(StoreConformance, FreesTheRequestsOfARemovedDevice) {
  StartJob("batch_1", 2);
  Grant("lease_1", "batch_1", 2);
  const auto ended = store().RemoveDevice(kDevice, kNow);
  EXPECT_THAT(*ended, ElementsAre(EndedLease{LeaseId("lease_1"), kDevice, JobId("batch_1"), 2}));
  EXPECT_FALSE(store().FindDevice(kDevice)->has_value());
  EXPECT_EQ(LookOpen("batch_1").pending_count, 2u);
  EXPECT_EQ(store().RemoveDevice(kDevice, kNow).error().code, ErrorCode::kNotFound);
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
