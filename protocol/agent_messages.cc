#include "protocol/agent_messages.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "generated/protocol/agent.pb.h"
#include "protocol/device_wire.h"
#include "protocol/inference_wire.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using wire::CheckCount;
using wire::CheckId;
using wire::CheckText;
using wire::FieldError;
using wire::Shape;
using wire::ShapeRule;

constexpr std::size_t kPublicKeyBytes = 32;

template <class Tag, class Ids>
Status ReadIds(std::string_view field, Ids& wire_ids, std::vector<Id<Tag>>& ids) {
  ids.reserve(wire_ids.size());
  for (auto& id : wire_ids) {
    FALLOW_RETURN_IF_ERROR(CheckId(field, id));
    ids.emplace_back(std::move(id));
  }
  return {};
}

// `read` fills a value from a parsed message; every error gets the message's name in front.
template <class Message, class Value, class Read>
Result<Value> Decode(std::string_view name, ByteView body, Shape shape, Read read) {
  auto parsed = wire::Parse<Message>(body, kMaxAgentBodyBytes, shape);
  if (!parsed) return Wrap(std::move(parsed).error(), name);
  Value value;
  if (Status status = read(*parsed, value); !status) return Wrap(std::move(status).error(), name);
  return value;
}

template <class Message>
Status ReadStatus(Message& message, DeviceStatus& status) {
  if (!message.has_status()) return FieldError("status", "missing");
  auto value = wire::ToValue(std::move(*message.mutable_status()));
  if (!value) return Wrap(std::move(value).error(), "status");
  status = *std::move(value);
  return {};
}

template <class Message>
Status ReadProfile(Message& message, DeviceProfile& profile) {
  if (!message.has_profile()) return FieldError("profile", "missing");
  auto value = wire::ToValue(std::move(*message.mutable_profile()));
  if (!value) return Wrap(std::move(value).error(), "profile");
  profile = *std::move(value);
  return {};
}

Status CheckDistinctIndices(const std::vector<InferenceRequest>& requests) {
  std::vector<std::uint64_t> indices;
  indices.reserve(requests.size());
  for (const InferenceRequest& request : requests) indices.push_back(request.index);
  std::ranges::sort(indices);
  const auto twice = std::ranges::adjacent_find(indices);
  if (twice != indices.end()) return FieldError("requests", fmt::format("index {} twice", *twice));
  return {};
}

Status ReadModel(wire::ModelArtifact&& message, ModelArtifact& model) {
  FALLOW_RETURN_IF_ERROR(CheckId("model_id", message.model_id()));
  model.model = ModelId(std::move(*message.mutable_model_id()));
  FALLOW_ASSIGN_OR_RETURN(model.digest, wire::ToDigest("digest", message.digest()));
  if (message.size_bytes() == 0) return FieldError("size_bytes", "missing");
  model.size_bytes = message.size_bytes();
  return {};
}

Result<LeaseGrant> ReadGrant(wire::LeaseGrant&& message) {
  LeaseGrant grant;
  FALLOW_RETURN_IF_ERROR(CheckId("lease_id", message.lease_id()));
  FALLOW_RETURN_IF_ERROR(CheckId("job_id", message.job_id()));
  grant.lease = LeaseId(std::move(*message.mutable_lease_id()));
  grant.job = JobId(std::move(*message.mutable_job_id()));
  if (auto status = ReadModel(std::move(*message.mutable_model()), grant.model); !status) {
    return Wrap(std::move(status).error(), "model");
  }
  grant.duration = std::chrono::milliseconds(message.duration_ms());
  if (grant.duration.count() == 0 || grant.duration > kMaxLeaseDuration) {
    return FieldError("duration_ms", fmt::format("{} is not within 1 and {}", message.duration_ms(),
                                                 kMaxLeaseDuration.count()));
  }
  if (message.requests().empty()) return FieldError("requests", "missing; at least one");
  FALLOW_RETURN_IF_ERROR(CheckCount("requests", message.requests_size(), kMaxRequestsPerLease));
  grant.requests.reserve(message.requests_size());
  for (int i = 0; i < message.requests_size(); ++i) {
    auto request = wire::ToValue(std::move(*message.mutable_requests(i)));
    if (!request) return Wrap(std::move(request).error(), fmt::format("requests[{}]", i));
    grant.requests.push_back(*std::move(request));
  }
  FALLOW_RETURN_IF_ERROR(CheckDistinctIndices(grant.requests));
  return grant;
}

}  // namespace

Bytes Encode(const EnrollRequest& value) {
  wire::EnrollRequest message;
  message.set_protocol_version(value.protocol_version);
  message.set_join_token(value.join_token);
  message.set_public_key(std::string(AsText(value.public_key)));
  FromValue(value.profile, *message.mutable_profile());
  return wire::Serialize(message);
}

Result<EnrollRequest> DecodeEnrollRequest(ByteView body) {
  static constexpr std::array kRules = {
      ShapeRule{wire::EnrollRequest::kProfileFieldNumber, "profile", 1}};
  const auto read = [](wire::EnrollRequest& message, EnrollRequest& value) -> Status {
    if (message.protocol_version() == 0) return FieldError("protocol_version", "missing");
    value.protocol_version = message.protocol_version();
    FALLOW_RETURN_IF_ERROR(CheckId("join_token", message.join_token()));
    value.join_token = std::move(*message.mutable_join_token());
    if (message.public_key().size() != kPublicKeyBytes) {
      return FieldError("public_key", fmt::format("{} bytes; an Ed25519 key has {}",
                                                  message.public_key().size(), kPublicKeyBytes));
    }
    value.public_key.assign(message.public_key().begin(), message.public_key().end());
    return ReadProfile(message, value.profile);
  };
  return Decode<wire::EnrollRequest, EnrollRequest>("enroll request", body, kRules, read);
}

Bytes Encode(const EnrollReply& value) {
  wire::EnrollReply message;
  message.set_device_id(value.device.value);
  return wire::Serialize(message);
}

Result<EnrollReply> DecodeEnrollReply(ByteView body) {
  const auto read = [](wire::EnrollReply& message, EnrollReply& value) -> Status {
    FALLOW_RETURN_IF_ERROR(CheckId("device_id", message.device_id()));
    value.device = DeviceId(std::move(*message.mutable_device_id()));
    return {};
  };
  return Decode<wire::EnrollReply, EnrollReply>("enroll reply", body, {}, read);
}

Bytes Encode(const LeaseRequest& value) {
  wire::LeaseRequest message;
  FromValue(value.profile, *message.mutable_profile());
  FromValue(value.status, *message.mutable_status());
  for (const Digest& digest : value.cached_models) {
    message.add_cached_model_digests(wire::DigestBytes(digest));
  }
  message.set_max_request_count(value.max_request_count);
  message.set_takes_inputs(value.takes_inputs);
  message.set_wait_ms(static_cast<std::uint32_t>(value.wait.count()));
  return wire::Serialize(message);
}

Result<LeaseRequest> DecodeLeaseRequest(ByteView body) {
  static constexpr std::array kRules = {
      ShapeRule{wire::LeaseRequest::kProfileFieldNumber, "profile", 1},
      ShapeRule{wire::LeaseRequest::kStatusFieldNumber, "status", 1},
      ShapeRule{wire::LeaseRequest::kCachedModelDigestsFieldNumber, "cached_model_digests",
                kMaxCachedModelsListed},
  };
  const auto read = [](wire::LeaseRequest& message, LeaseRequest& value) -> Status {
    FALLOW_RETURN_IF_ERROR(ReadProfile(message, value.profile));
    FALLOW_RETURN_IF_ERROR(ReadStatus(message, value.status));
    for (const std::string& bytes : message.cached_model_digests()) {
      FALLOW_ASSIGN_OR_RETURN(const Digest digest, wire::ToDigest("cached_model_digests", bytes));
      value.cached_models.push_back(digest);
    }
    value.max_request_count = message.max_request_count();
    value.takes_inputs = message.takes_inputs();
    value.wait = std::chrono::milliseconds(message.wait_ms());
    if (value.wait > kMaxLeaseWait) {
      return FieldError("wait_ms",
                        fmt::format("{}; at most {}", message.wait_ms(), kMaxLeaseWait.count()));
    }
    return {};
  };
  return Decode<wire::LeaseRequest, LeaseRequest>("lease request", body, kRules, read);
}

Bytes Encode(const LeaseReply& value) {
  wire::LeaseReply message;
  if (value.grant) {
    wire::LeaseGrant& grant = *message.mutable_grant();
    grant.set_lease_id(value.grant->lease.value);
    grant.set_job_id(value.grant->job.value);
    wire::ModelArtifact& model = *grant.mutable_model();
    model.set_model_id(value.grant->model.model.value);
    model.set_digest(wire::DigestBytes(value.grant->model.digest));
    model.set_size_bytes(value.grant->model.size_bytes);
    grant.set_duration_ms(static_cast<std::uint32_t>(value.grant->duration.count()));
    for (const InferenceRequest& request : value.grant->requests) {
      FromValue(request, *grant.add_requests());
    }
  }
  return wire::Serialize(message);
}

Result<LeaseReply> DecodeLeaseReply(ByteView body) {
  static const std::array kGrantRules = {
      ShapeRule{wire::LeaseGrant::kModelFieldNumber, "model", 1},
      ShapeRule{wire::LeaseGrant::kRequestsFieldNumber, "requests", kMaxRequestsPerLease,
                wire::kInferenceRequestShape},
  };
  static const std::array kRules = {
      ShapeRule{wire::LeaseReply::kGrantFieldNumber, "grant", 1, kGrantRules}};
  const auto read = [](wire::LeaseReply& message, LeaseReply& value) -> Status {
    if (!message.has_grant()) return {};
    auto grant = ReadGrant(std::move(*message.mutable_grant()));
    if (!grant) return Wrap(std::move(grant).error(), "grant");
    value.grant = *std::move(grant);
    return {};
  };
  return Decode<wire::LeaseReply, LeaseReply>("lease reply", body, kRules, read);
}

Bytes Encode(const ReportRequest& value) {
  wire::ReportRequest message;
  message.set_lease_id(value.lease.value);
  for (const AttemptResult& result : value.results) FromValue(result, *message.add_results());
  FromValue(value.status, *message.mutable_status());
  return wire::Serialize(message);
}

Result<ReportRequest> DecodeReportRequest(ByteView body) {
  static const std::array kRules = {
      ShapeRule{wire::ReportRequest::kResultsFieldNumber, "results", kMaxResultsPerReport,
                wire::kAttemptResultShape},
      ShapeRule{wire::ReportRequest::kStatusFieldNumber, "status", 1},
  };
  const auto read = [](wire::ReportRequest& message, ReportRequest& value) -> Status {
    FALLOW_RETURN_IF_ERROR(CheckId("lease_id", message.lease_id()));
    value.lease = LeaseId(std::move(*message.mutable_lease_id()));
    value.results.reserve(message.results_size());
    for (int i = 0; i < message.results_size(); ++i) {
      auto result =
          wire::ToValue(std::move(*message.mutable_results(i)), wire::AttemptIdRule::kRequired);
      if (!result) return Wrap(std::move(result).error(), fmt::format("results[{}]", i));
      value.results.push_back(*std::move(result));
    }
    return ReadStatus(message, value.status);
  };
  return Decode<wire::ReportRequest, ReportRequest>("report", body, kRules, read);
}

Bytes Encode(const ReportReply& value) {
  wire::ReportReply message;
  message.set_lease_live(value.lease_live);
  return wire::Serialize(message);
}

Result<ReportReply> DecodeReportReply(ByteView body) {
  const auto read = [](wire::ReportReply& message, ReportReply& value) -> Status {
    if (!message.has_lease_live()) return FieldError("lease_live", "missing");
    value.lease_live = message.lease_live();
    return {};
  };
  return Decode<wire::ReportReply, ReportReply>("report reply", body, {}, read);
}

Bytes Encode(const HeartbeatRequest& value) {
  wire::HeartbeatRequest message;
  FromValue(value.status, *message.mutable_status());
  for (const LeaseId& lease : value.leases) message.add_lease_ids(lease.value);
  FromValue(value.progress, *message.mutable_progress());
  return wire::Serialize(message);
}

Result<HeartbeatRequest> DecodeHeartbeatRequest(ByteView body) {
  static constexpr std::array kRules = {
      ShapeRule{wire::HeartbeatRequest::kStatusFieldNumber, "status", 1},
      ShapeRule{wire::HeartbeatRequest::kLeaseIdsFieldNumber, "lease_ids", kMaxLeasesPerDevice},
      ShapeRule{wire::HeartbeatRequest::kProgressFieldNumber, "progress", 1},
  };
  const auto read = [](wire::HeartbeatRequest& message, HeartbeatRequest& value) -> Status {
    FALLOW_RETURN_IF_ERROR(ReadStatus(message, value.status));
    value.progress = wire::ToValue(message.progress());
    return ReadIds("lease_ids", *message.mutable_lease_ids(), value.leases);
  };
  return Decode<wire::HeartbeatRequest, HeartbeatRequest>("heartbeat", body, kRules, read);
}

Bytes Encode(const HeartbeatReply& value) {
  wire::HeartbeatReply message;
  for (const LeaseId& lease : value.ended_leases) message.add_ended_lease_ids(lease.value);
  return wire::Serialize(message);
}

Result<HeartbeatReply> DecodeHeartbeatReply(ByteView body) {
  static constexpr std::array kRules = {ShapeRule{wire::HeartbeatReply::kEndedLeaseIdsFieldNumber,
                                                  "ended_lease_ids", kMaxLeasesPerDevice}};
  const auto read = [](wire::HeartbeatReply& message, HeartbeatReply& value) -> Status {
    return ReadIds("ended_lease_ids", *message.mutable_ended_lease_ids(), value.ended_leases);
  };
  return Decode<wire::HeartbeatReply, HeartbeatReply>("heartbeat reply", body, kRules, read);
}

Bytes Encode(const ReleaseRequest& value) {
  wire::ReleaseRequest message;
  message.set_lease_id(value.lease.value);
  message.set_reason(ToValidUtf8(value.reason, kMaxShortTextBytes));
  FromValue(value.status, *message.mutable_status());
  return wire::Serialize(message);
}

Result<ReleaseRequest> DecodeReleaseRequest(ByteView body) {
  static constexpr std::array kRules = {
      ShapeRule{wire::ReleaseRequest::kStatusFieldNumber, "status", 1}};
  const auto read = [](wire::ReleaseRequest& message, ReleaseRequest& value) -> Status {
    FALLOW_RETURN_IF_ERROR(CheckId("lease_id", message.lease_id()));
    FALLOW_RETURN_IF_ERROR(CheckText("reason", message.reason(), kMaxShortTextBytes));
    value.lease = LeaseId(std::move(*message.mutable_lease_id()));
    value.reason = std::move(*message.mutable_reason());
    return ReadStatus(message, value.status);
  };
  return Decode<wire::ReleaseRequest, ReleaseRequest>("release", body, kRules, read);
}

std::string SignedText(std::string_view method, std::string_view path_and_query,
                       std::int64_t unix_ms, const Digest& body_digest) {
  return fmt::format("fallow-agent-v1\n{}\n{}\n{}\n{}", method, path_and_query, unix_ms,
                     body_digest.Hex());
}

}  // namespace fallow
