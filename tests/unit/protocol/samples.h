// Messages with every field set to something other than its default.
#pragma once

#include "protocol/agent_messages.h"
#include "protocol/worker_messages.h"

namespace fallow::samples {

inline DeviceProfile Profile() {
  return {.hostname = "attic",
          .operating_system = "Debian GNU/Linux 12 (bookworm)",
          .agent_version = "0.1.0",
          .backend = BackendKind::kVulkan,
          .processor = "llvmpipe",
          .driver = "Mesa 22.3.6",
          .memory_bytes = 8'000'000'000};
}

inline DeviceStatus Status() {
  return {.state = DeviceState::kWorking,
          .reason = "no input for 4 min – working",
          .tokens_per_second = 812.5,
          .embedding_tokens_per_second = 9'000.25,
          .yields = YieldFigures{.count = 214, .p50_ms = 8.25, .p99_ms = 31.5}};
}

inline InferenceRequest Request(std::uint64_t index) {
  return {.index = index,
          .messages = {{.role = "system", .content = "Be brief."},
                       {.role = "user", .content = "Grüße, 世界"}},
          .inputs = {},
          .max_tokens = 64,
          .stop = {"\n\n", "END"},
          .sampling = {
              .temperature = 0.7f, .top_p = 0.9f, .top_k = 40, .seed = 0xFFFF'FFFF'FFFF'FFFFu}};
}

inline InferenceRequest EmbeddingRequest(std::uint64_t index) {
  InferenceRequest request;
  request.index = index;
  request.inputs = {{.text = "Grüße, 世界", .token_ids = {}},
                    {.text = "", .token_ids = {0, 101, 0xFFFF'FFFFu}}};
  return request;
}

// Two vectors, among their values the smallest and the largest there are.
inline AttemptResult Embedded(std::uint64_t index, const std::string& attempt) {
  AttemptResult result;
  result.attempt = AttemptId(attempt);
  result.request_index = index;
  result.prompt_token_count = 17;
  result.embeddings = {{0.6f, -0.8f, 0.0f}, {1e-45f, 3.4028235e38f, -0.33333334f}};
  for (const auto& vector : result.embeddings) result.state_digests.push_back(VectorDigest(vector));
  return result;
}

inline AttemptResult Finished(std::uint64_t index, const std::string& attempt) {
  AttemptResult result{.attempt = AttemptId(attempt),
                       .request_index = index,
                       .error = std::nullopt,
                       .finish_reason = FinishReason::kLength,
                       .text = "2026-11-22",
                       .token_ids = {},
                       .state_digests = {Digest{}, Digest{}},
                       .prompt_token_count = 21,
                       .embeddings = {}};
  for (std::uint32_t i = 0; i < 33; ++i) result.token_ids.push_back(i * 1000);
  result.state_digests[1].bytes.fill(0xAB);
  return result;
}

inline AttemptResult Failed(std::uint64_t index, const std::string& attempt) {
  AttemptResult result;
  result.attempt = AttemptId(attempt);
  result.request_index = index;
  result.error =
      Error{ErrorCode::kInvalidArgument, "prompt of 900 tokens; the model's context is 512"};
  return result;
}

inline LeaseGrant Grant() {
  return {.lease = LeaseId("lease_1"),
          .job = JobId("batch_1"),
          .model = {.model = ModelId("field-normalizer"),
                    .digest = Digest{.bytes = {1, 2, 3}},
                    .size_bytes = 1234},
          .duration = std::chrono::milliseconds(60'000),
          .requests = {Request(3), Request(4), Request(9)}};
}

}  // namespace fallow::samples
