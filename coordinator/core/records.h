// The coordinator's records, as the store keeps them and the API shows them. Values: copy and
// compare.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/ids.h"
#include "protocol/agent_messages.h"
#include "protocol/inference.h"

namespace fallow {

// A submitter sees and changes what is his account's; an operator also models, devices and keys.
enum class Role : std::uint8_t { kSubmitter = 1, kOperator = 2 };

struct ApiKey {
  KeyId id;
  AccountId account;
  Role role = Role::kSubmitter;
  std::string name;    // the person's label
  std::string prefix;  // first characters of the secret, to recognise it by
  Digest secret_hash;  // SHA-256 of the secret: 256 random bits need no slow hash
  WallTime created_at;
  std::optional<WallTime> revoked_at;
  bool operator==(const ApiKey&) const = default;
};

enum class FilePurpose : std::uint8_t { kBatch = 1, kBatchOutput = 2 };

struct File {
  FileId id;
  AccountId account;
  FilePurpose purpose = FilePurpose::kBatch;
  std::string filename;
  Digest artifact;
  std::uint64_t size_bytes = 0;
  WallTime created_at;
  std::optional<WallTime> expires_at;
  bool operator==(const File&) const = default;
};

enum class JobState : std::uint8_t {
  kValidating = 1,
  kFailed = 2,
  kInProgress = 3,
  kFinalizing = 4,
  kCompleted = 5,
  kExpired = 6,
  kCancelling = 7,
  kCancelled = 8,
};
std::string_view JobStateName(JobState state);  // OpenAI's: "in_progress"
bool IsFinal(JobState state);                   // failed, completed, expired, cancelled

// What is wrong with an input file, by line.
struct JobError {
  std::string code;  // "invalid_json_line", "duplicate_custom_id", "model_not_found", …
  std::string message;
  std::string param;       // "body.messages"; may be empty
  std::uint64_t line = 0;  // from 1; 0: the file as a whole
  bool operator==(const JobError&) const = default;
};

struct JobCounts {
  std::uint64_t total = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  bool operator==(const JobCounts&) const = default;
};

struct JobUsage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  bool operator==(const JobUsage&) const = default;
};

// What a batch may ask of its model.
inline constexpr std::string_view kChatEndpoint = "/v1/chat/completions";
inline constexpr std::string_view kEmbeddingsEndpoint = "/v1/embeddings";
bool IsEndpoint(std::string_view text);

struct Job {
  JobId id;
  AccountId account;
  std::string endpoint;           // an IsEndpoint
  std::string completion_window;  // "24h"
  FileId input_file;
  Digest input_artifact;  // the input file's bytes, which may outlive the file
  ModelId model;          // known after validation: one model a job
  Digest model_artifact;  // what `model` named when the job was validated
  JobState state = JobState::kValidating;
  JobCounts counts;
  JobUsage usage;
  std::vector<JobError> errors;  // at most kMaxJobErrors
  std::map<std::string, std::string> metadata;
  std::optional<FileId> output_file, error_file;
  WallTime created_at, expires_at;
  std::optional<WallTime> in_progress_at, finalizing_at, completed_at, failed_at, expired_at,
      cancelling_at, cancelled_at;
  bool operator==(const Job&) const = default;

  bool asks_for_vectors() const { return endpoint == kEmbeddingsEndpoint; }
  // What its work is measured in: tokens generated, or read for vectors.
  std::uint64_t work_token_count() const {
    return asks_for_vectors() ? usage.prompt_tokens : usage.completion_tokens;
  }
};

// How the output file writes a vector.
enum class VectorEncoding : std::uint8_t { kFloat = 1, kBase64 = 2 };

// One line of a job. Its text stays in the input file's artifact.
enum class RequestState : std::uint8_t { kPending = 1, kLeased = 2, kDone = 3, kFailed = 4 };

struct Request {
  std::uint64_t index = 0;
  std::string custom_id;
  std::uint64_t offset = 0;         // of its line in the input artifact, bytes
  std::uint32_t length = 0;         // of its line without the newline, bytes
  std::uint64_t assigned_seed = 0;  // used when the line has none
  std::uint32_t max_tokens =
      0;  // at most so many can be generated: the line's limit or the model's context
  RequestState state = RequestState::kPending;
  std::uint32_t input_count = 0;  // vectors it asks for; 0: it asks for an answer
  VectorEncoding vector_encoding = VectorEncoding::kFloat;
  bool operator==(const Request&) const = default;
};

// The attempt that counts for a request.
struct CanonicalResult {
  std::string custom_id;
  DeviceId device;
  LeaseId lease;
  WallTime received_at;
  AttemptResult result;
  bool operator==(const CanonicalResult&) const = default;
};

// How much memory an answer takes, about.
std::size_t AnswerBytes(const AttemptResult& result);
// Leaves what is known of the attempt beside its answer.
void ForgetAnswer(AttemptResult& result);

struct Model {
  ModelId id;
  Digest artifact;
  std::uint64_t size_bytes = 0;
  std::string card_json;  // what `fallow models` shows: architecture, parameters, context, …
  WallTime created_at;
  bool operator==(const Model&) const = default;
};

struct Device {
  DeviceId id;
  Bytes public_key;  // Ed25519, 32 bytes
  DeviceProfile profile;
  DeviceStatus status;
  WallTime enrolled_at, last_seen_at;
  std::uint64_t completed_request_count = 0;
  std::uint64_t generated_token_count = 0;
  bool operator==(const Device&) const = default;
};

struct Lease {
  LeaseId id;
  DeviceId device;
  JobId job;
  std::vector<std::uint64_t> request_indices;  // as granted
  WallTime granted_at, expires_at;
  bool operator==(const Lease&) const = default;
};

}  // namespace fallow
