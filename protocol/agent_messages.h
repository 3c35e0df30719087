// What agent and coordinator say to each other, over HTTPS (docs/PROTOCOL.md has the endpoints).
//
// Encode… makes the protobuf bytes of a body (words to people are cut to their limit and made
// UTF-8: they may quote anything); Decode… parses and checks one: every length, range and enum.
// Pure: bytes in, values out, no I/O. Generated protobuf types stay inside protocol/.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "protocol/inference.h"

namespace fallow {

// Raised when a message changes in a way old peers would misread.
inline constexpr std::uint32_t kAgentProtocolVersion = 1;

// Unknown until the device's worker has opened one.
enum class BackendKind : std::uint8_t { kUnknown = 0, kCpu = 1, kVulkan = 2 };

// What a device is; sent at enrolment and whenever it changes.
struct DeviceProfile {
  std::string hostname;
  std::string operating_system;  // "Debian GNU/Linux 12 (bookworm)"
  std::string agent_version;
  BackendKind backend = BackendKind::kUnknown;
  std::string
      processor;       // the Vulkan device's or the CPU's name; empty while the backend is unknown
  std::string driver;  // "llvmpipe (LLVM 15.0.6), Mesa 22.3.6"; empty for the CPU backend
  std::uint64_t memory_bytes = 0;  // what inference may use
  bool operator==(const DeviceProfile&) const = default;
};

// Whether the device works, and why (not), in words for people.
enum class DeviceState : std::uint8_t {
  kIdle = 1,
  kWorking = 2,
  kInUse = 3,
  kPaused = 4,
  kFaulty = 5
};
std::string_view DeviceStateName(
    DeviceState state);  // "idle", "working", "in_use", "paused", "faulty"

// How long owners wait for their machine: from an input of the owner to the device being free.
struct YieldFigures {
  std::uint64_t count = 0;  // yields measured; 1 or more
  double p50_ms = 0;        // half of them took this long or less; within 0 and kMaxYieldMs
  double p99_ms = 0;        // 99 of 100; not below p50_ms
  bool operator==(const YieldFigures&) const = default;
};

struct DeviceStatus {
  DeviceState state = DeviceState::kIdle;
  std::string reason;            // "keyboard or mouse used 4 s ago"
  double tokens_per_second = 0;  // generated tokens, over the last shard or minute; 0 if unknown
  double embedding_tokens_per_second = 0;  // tokens read for embeddings, likewise
  std::optional<YieldFigures> yields;      // none before the first
  bool operator==(const DeviceStatus&) const = default;
};

// POST /agent/v1/enroll — the only call that is not signed by an enrolled key; it carries the join
// token.
struct EnrollRequest {
  std::uint32_t protocol_version = kAgentProtocolVersion;
  std::string join_token;
  Bytes public_key;  // Ed25519, 32 bytes
  DeviceProfile profile;
  bool operator==(const EnrollRequest&) const = default;
};
struct EnrollReply {
  DeviceId device;
  bool operator==(const EnrollReply&) const = default;
};

// POST /agent/v1/lease — long poll: answered at once when there is work, else after at most `wait`.
struct LeaseRequest {
  DeviceProfile profile;
  DeviceStatus status;
  std::vector<Digest> cached_models;    // digests of model artifacts already on the device
  std::uint32_t max_request_count = 0;  // how many requests the agent can hold now
  std::chrono::milliseconds wait{0};    // 0 … 60 s
  bool takes_inputs = true;             // requests for vectors; of the first agents: false
  bool operator==(const LeaseRequest&) const = default;
};
struct ModelArtifact {
  ModelId model;
  Digest digest;
  std::uint64_t size_bytes = 0;
  bool operator==(const ModelArtifact&) const = default;
};
struct LeaseGrant {
  LeaseId lease;
  JobId job;
  ModelArtifact model;
  std::chrono::milliseconds duration{
      0};  // from the reply's sending; every report and heartbeat renews it
  std::vector<InferenceRequest> requests;  // the shard
  bool operator==(const LeaseGrant&) const = default;
};
struct LeaseReply {
  std::optional<LeaseGrant> grant;  // none: no work within `wait`
  bool operator==(const LeaseReply&) const = default;
};

// POST /agent/v1/report — finished requests; durable before it is answered. Safe to send twice.
struct ReportRequest {
  LeaseId lease;
  std::vector<AttemptResult> results;  // at most kMaxResultsPerReport
  DeviceStatus status;
  bool operator==(const ReportRequest&) const = default;
};
struct ReportReply {
  bool lease_live = false;  // false: stop working on it (expired, or the job was cancelled)
  bool operator==(const ReportReply&) const = default;
};

// POST /agent/v1/heartbeat — renews leases and tells the state; sent every few seconds while leases
// are held, and at each change of state.
struct HeartbeatRequest {
  DeviceStatus status;
  std::vector<LeaseId> leases;
  WorkProgress progress;
  bool operator==(const HeartbeatRequest&) const = default;
};
struct HeartbeatReply {
  std::vector<LeaseId> ended_leases;  // of those sent: no longer live
  bool operator==(const HeartbeatReply&) const = default;
};

// POST /agent/v1/release — gives unfinished requests of a lease back at once.
struct ReleaseRequest {
  LeaseId lease;
  std::string reason;
  DeviceStatus status;
  bool operator==(const ReleaseRequest&) const = default;
};

Bytes Encode(const EnrollRequest&);
Bytes Encode(const EnrollReply&);
Bytes Encode(const LeaseRequest&);
Bytes Encode(const LeaseReply&);
Bytes Encode(const ReportRequest&);
Bytes Encode(const ReportReply&);
Bytes Encode(const HeartbeatRequest&);
Bytes Encode(const HeartbeatReply&);
Bytes Encode(const ReleaseRequest&);

Result<EnrollRequest> DecodeEnrollRequest(ByteView);
Result<EnrollReply> DecodeEnrollReply(ByteView);
Result<LeaseRequest> DecodeLeaseRequest(ByteView);
Result<LeaseReply> DecodeLeaseReply(ByteView);
Result<ReportRequest> DecodeReportRequest(ByteView);
Result<ReportReply> DecodeReportReply(ByteView);
Result<HeartbeatRequest> DecodeHeartbeatRequest(ByteView);
Result<HeartbeatReply> DecodeHeartbeatReply(ByteView);
Result<ReleaseRequest> DecodeReleaseRequest(ByteView);

// The text that a device signs with its Ed25519 key for every call but enrolment; see
// docs/PROTOCOL.md.
//   "fallow-agent-v1\n" METHOD "\n" PATH_AND_QUERY "\n" UNIX_MS "\n" HEX(SHA-256(body))
std::string SignedText(std::string_view method, std::string_view path_and_query,
                       std::int64_t unix_ms, const Digest& body_digest);

}  // namespace fallow
