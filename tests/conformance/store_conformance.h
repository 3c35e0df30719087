// The conformance suite of stores: what every Store promises, run on each. Its cases are grouped by
// record over several files.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/store/store.h"
#include "tests/support/stores.h"

namespace fallow {

inline const AccountId kAlice{"alice"};
inline const AccountId kBob{"bob"};
inline const DeviceId kDevice{"dev_1"};
inline const DeviceId kOther{"dev_2"};
inline const WallTime kNow = WallTimeFromUnixMs(1'700'000'000'000);

inline File MakeFile(const std::string& id, const AccountId& account = kAlice) {
  File file;
  file.id = FileId(id);
  file.account = account;
  file.filename = "batch.jsonl";
  file.artifact = Sha256::Of("bytes of " + id);
  file.size_bytes = 10;
  file.created_at = kNow;
  file.expires_at = kNow + std::chrono::seconds(100);
  return file;
}

inline Model MakeModel(const std::string& id = "tiny") {
  Model model;
  model.id = ModelId(id);
  model.artifact = Sha256::Of("weights of " + id);
  model.size_bytes = 7;
  model.card_json = "{}";
  model.created_at = kNow;
  return model;
}

inline Job MakeJob(const std::string& id, const AccountId& account = kAlice) {
  Job job;
  job.id = JobId(id);
  job.account = account;
  job.endpoint = "/v1/chat/completions";
  job.completion_window = "24h";
  job.input_file = FileId("file-1");
  job.input_artifact = Sha256::Of("bytes of file-1");
  job.metadata = {{"a", "b"}, {"ä", "\"\n"}};
  job.created_at = kNow;
  job.expires_at = kNow + std::chrono::seconds(86'400);
  return job;
}

inline Device MakeDevice(const DeviceId& id, std::uint8_t key_byte) {
  Device device;
  device.id = id;
  device.public_key = Bytes(32, key_byte);
  device.profile.hostname = "host";
  device.profile.memory_bytes = 1ull << 40;
  device.enrolled_at = device.last_seen_at = kNow;
  return device;
}

inline AttemptResult Answer(std::uint64_t index, const std::string& attempt = "att_1") {
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
    const auto granted = store().GrantLease({LeaseId(lease), device, JobId(job), max_count, 1 << 20,
                                             kNow, kNow + std::chrono::seconds(60)});
    EXPECT_TRUE(granted.has_value());
    return *granted ? (*granted)->lease.request_indices : std::vector<std::uint64_t>{};
  }
  RecordedReport Record(const std::string& lease, std::vector<JudgedAttempt> attempts,
                        const DeviceId& device = kDevice) {
    const auto recorded =
        store().RecordResults({LeaseId(lease), device, std::move(attempts),
                               kNow + std::chrono::seconds(1), kNow + std::chrono::seconds(61), 2});
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

}  // namespace fallow
