// The values of inference work: what a request asks, what an attempt at it produced.
//
// Coordinator, agent and worker all speak these; the wire forms are agent.proto and worker.proto.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"

namespace fallow {

struct ChatMessage {
  std::string role;     // "system", "user" or "assistant"
  std::string content;  // UTF-8
  bool operator==(const ChatMessage&) const = default;
};

// How tokens are chosen. temperature 0 is greedy and ignores the rest.
struct Sampling {
  float temperature = 1.0f;  // 0 … 2
  float top_p = 1.0f;        // (0, 1]; 1 is off
  std::uint32_t top_k = 0;   // 0 is off
  std::uint64_t seed = 0;    // the submitter's, or assigned by the coordinator and recorded
  bool operator==(const Sampling&) const = default;
};

// One text of which a vector is asked: as UTF-8, or as token ids where those are not empty.
struct EmbeddingInput {
  std::string text;
  std::vector<std::uint32_t> token_ids;
  bool operator==(const EmbeddingInput&) const = default;
};

// One line of a batch, checked: everything a worker needs and nothing else. It asks for an answer
// to messages, or for the vectors of inputs: one of the two is empty.
struct InferenceRequest {
  std::uint64_t index = 0;  // position in the job, from 0
  std::vector<ChatMessage> messages;
  std::vector<EmbeddingInput> inputs;  // the rest does not apply to these
  std::uint32_t max_tokens = 0;        // at most this many generated; 0: up to the model's context
  std::vector<std::string>
      stop;  // at most 4, none empty; generation ends before the first that appears
  Sampling sampling;
  bool operator==(const InferenceRequest&) const = default;
};

enum class FinishReason : std::uint8_t { kStop = 1, kLength = 2 };

// One execution of a request under a lease. Either `error` is set, or all that follows it is valid.
struct AttemptResult {
  AttemptId attempt;  // made by the agent, stays the same when a report is retried
  std::uint64_t request_index = 0;
  std::optional<Error> error;  // the request's own failure: prompt too long, non-finite state
  FinishReason finish_reason = FinishReason::kStop;
  std::string text;  // UTF-8; without special tokens and without the stop string
  std::vector<std::uint32_t> token_ids;  // everything generated, the end token included
  std::vector<Digest>
      state_digests;  // one per 32 generated tokens, the last may cover fewer (docs/ARITHMETIC.md)
  std::uint32_t prompt_token_count = 0;  // of all inputs together
  // One vector for each input, all of the model's embedding length; then text and token_ids are
  // empty, and state_digests has the VectorDigest of each.
  std::vector<std::vector<float>> embeddings;
  bool operator==(const AttemptResult&) const = default;
};

// A vector as it is hashed, stored and sent in Base64: its values as little-endian fp32.
inline ByteView VectorBytes(std::span<const float> vector) {
  static_assert(std::endian::native == std::endian::little);
  return {reinterpret_cast<const std::uint8_t*>(vector.data()), vector.size_bytes()};
}

// The state digest of an embedding.
inline Digest VectorDigest(std::span<const float> vector) {
  return Sha256::Of(VectorBytes(vector));
}

// What the worker is doing now, for progress bars and the device page.
struct WorkProgress {
  // Since the model was loaded, or work last stopped.
  std::uint64_t generated_token_count = 0;
  std::uint64_t prompt_token_count = 0;
  std::uint32_t active_sequence_count = 0;
  std::uint32_t waiting_request_count = 0;
  bool operator==(const WorkProgress&) const = default;
};

}  // namespace fallow
