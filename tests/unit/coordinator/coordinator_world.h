// A coordinator with everything around it in a test's hand: time, disk, store and devices.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/artifacts/memory/memory_artifact_store.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/store/memory/memory_store.h"
#include "coordinator/store/store.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/seeded_random.h"

namespace fallow {

// A line that asks the test's model for an answer.
inline std::string BatchLineText(const std::string& custom_id, const std::string& content = "hello",
                                 const std::string& model = "tiny",
                                 const std::string& more = ",\"temperature\":0,\"max_tokens\":8") {
  return fmt::format(
      R"({{"custom_id":"{}","method":"POST","url":"/v1/chat/completions","body":{{"model":"{}",)"
      R"("messages":[{{"role":"user","content":"{}"}}]{}}}}})",
      custom_id, model, content, more);
}

inline std::string BatchText(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text += BatchLineText(fmt::format("r{}", i), fmt::format("question {}", i)) + "\n";
  return text;
}

// What an honest device answers: a function of the request alone.
inline AttemptResult HonestResult(const LeaseGrant& grant, const InferenceRequest& request) {
  AttemptResult result;
  result.attempt = AttemptId(fmt::format("att_{}_{}", grant.lease.value, request.index));
  result.request_index = request.index;
  result.text = "answer to " + request.messages.back().content;
  result.token_ids = {1, 2, static_cast<std::uint32_t>(request.index)};
  result.state_digests = {Sha256::Of(result.text)};
  result.prompt_token_count = 5;
  return result;
}

struct CoordinatorWorld {
  static inline const AccountId kAlice{"alice"};
  static inline const AccountId kBob{"bob"};

  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random;
  std::unique_ptr<Store> store;
  std::unique_ptr<ArtifactStore> artifacts;
  CoordinatorOptions options;
  std::unique_ptr<Coordinator> coordinator;

  explicit CoordinatorWorld(
      std::unique_ptr<Store> with_store = NewMemoryStore(),
      std::unique_ptr<ArtifactStore> with_artifacts = std::make_unique<MemoryArtifactStore>())
      : store(std::move(with_store)), artifacts(std::move(with_artifacts)) {}

  void Start() {
    auto started = NewCoordinator(loop, clock, random, *store, *artifacts, options);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    coordinator = *std::move(started);
  }

  void AddModel(const std::string& name = "tiny", std::uint32_t context_length = 64) {
    AddModelWithCard(name, fmt::format(R"({{"context_length":{}}})", context_length));
  }
  void AddEmbeddingModel(const std::string& name, std::uint32_t embedding_length) {
    AddModelWithCard(
        name, fmt::format(R"({{"context_length":64,"embedding_length":{},"pooling":"mean"}})",
                          embedding_length));
  }
  void AddModelWithCard(const std::string& name, const std::string& card_json) {
    Model model;
    model.id = ModelId(name);
    model.artifact = Sha256::Of("weights of " + name);
    model.size_bytes = 1000;
    model.card_json = card_json;
    model.created_at = clock.Wall();
    ASSERT_TRUE(store->AddModel(model).has_value());
  }

  Result<File> Upload(const std::string& text, const AccountId& account = kAlice) {
    FALLOW_ASSIGN_OR_RETURN(auto upload, coordinator->files().StartUpload());
    FALLOW_RETURN_IF_ERROR(upload->Write(AsBytes(text)));
    return upload->Finish(account, FilePurpose::kBatch, "batch.jsonl");
  }

  Result<Job> CreateJob(const FileId& file, const AccountId& account = kAlice,
                        std::string_view endpoint = kChatEndpoint) {
    return coordinator->jobs().Create({account, file, std::string(endpoint), "24h", {}});
  }

  // Uploads and creates, and lets the validation end.
  Job Submit(const std::string& text, const AccountId& account = kAlice,
             std::string_view endpoint = kChatEndpoint) {
    const auto file = Upload(text, account);
    EXPECT_TRUE(file.has_value()) << file.error().message;
    const auto job = CreateJob(file.value_or(File{}).id, account, endpoint);
    EXPECT_TRUE(job.has_value()) << job.error().message;
    loop.RunPending();
    return Look(job.value_or(Job{}).id);
  }

  Job Look(const JobId& id) {
    auto job = store->FindJob(id);
    EXPECT_TRUE(job.has_value() && job->has_value());
    return job->value_or(Job{});
  }

  DeviceId Enroll(std::uint8_t key_byte) {
    EnrollRequest request;
    request.join_token = *coordinator->devices().JoinToken();
    request.public_key = Bytes(32, key_byte);
    request.profile.hostname = fmt::format("host{}", key_byte);
    auto device = coordinator->devices().Enroll(request);
    EXPECT_TRUE(device.has_value());
    return device.value_or(Device{}).id;
  }

  std::optional<LeaseGrant> Grant(const DeviceId& device, std::uint32_t max_request_count = 1000,
                                  double tokens_per_second = 0,
                                  double embedding_tokens_per_second = 0) {
    LeaseRequest request;
    request.max_request_count = max_request_count;
    request.status.tokens_per_second = tokens_per_second;
    request.status.embedding_tokens_per_second = embedding_tokens_per_second;
    auto grant = coordinator->leases().Grant(device, request);
    EXPECT_TRUE(grant.has_value()) << grant.error().message;
    return grant.value_or(std::nullopt);
  }

  ReportReply Report(const DeviceId& device, const LeaseId& lease,
                     std::vector<AttemptResult> results) {
    ReportRequest report;
    report.lease = lease;
    report.results = std::move(results);
    auto reply = coordinator->leases().Report(device, report);
    EXPECT_TRUE(reply.has_value()) << reply.error().message;
    return reply.value_or(ReportReply{});
  }

  // Answers a whole lease honestly.
  ReportReply Finish(const DeviceId& device, const LeaseGrant& grant) {
    std::vector<AttemptResult> results;
    for (const auto& request : grant.requests) results.push_back(HonestResult(grant, request));
    return Report(device, grant.lease, std::move(results));
  }

  // Lets one honest device do all there is.
  void WorkOff(const DeviceId& device) {
    while (auto grant = Grant(device)) Finish(device, *grant);
    loop.RunPending();
  }

  std::string Content(const std::optional<FileId>& id) {
    if (!id) return {};
    const auto file = store->FindFile(*id);
    EXPECT_TRUE(file.has_value() && file->has_value());
    const auto reader = artifacts->Open((*file)->artifact);
    EXPECT_TRUE(reader.has_value());
    std::string text((*file)->size_bytes, '\0');
    EXPECT_TRUE((*reader)->ReadAt(0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
    return text;
  }
};

}  // namespace fallow
