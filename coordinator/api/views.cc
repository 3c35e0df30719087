#include "coordinator/api/views.h"

namespace fallow::api {
namespace {

Json SecondsOrNull(const std::optional<WallTime>& time) {
  return time.has_value() ? Json(UnixSeconds(*time)) : Json(nullptr);
}
Json ParseOrNull(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json(nullptr) : json;
}
Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json ErrorsJson(const Job& job) {
  if (job.errors.empty()) return nullptr;
  Json data = Json::array();
  for (const JobError& error : job.errors)
    data.push_back({{"code", error.code},
                    {"message", error.message},
                    {"param", TextOrNull(error.param)},
                    {"line", error.line == 0 ? Json(nullptr) : Json(error.line)}});
  return {{"object", "list"}, {"data", std::move(data)}};
}

Json YieldsOrNull(const std::optional<YieldFigures>& yields) {
  if (!yields) return nullptr;
  return {{"count", yields->count}, {"p50_ms", yields->p50_ms}, {"p99_ms", yields->p99_ms}};
}

Json BackendOrNull(BackendKind backend) {
  switch (backend) {
    case BackendKind::kCpu:
      return "cpu";
    case BackendKind::kVulkan:
      return "vulkan";
    case BackendKind::kUnknown:
      break;
  }
  return nullptr;
}

std::string_view RequestStateName(RequestState state) {
  switch (state) {
    case RequestState::kPending:
      return "pending";
    case RequestState::kLeased:
      return "leased";
    case RequestState::kDone:
      return "done";
    case RequestState::kFailed:
      return "failed";
  }
  return "pending";
}

}  // namespace

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

http::Response JsonResponse(int status, const Json& json) {
  return {.status = status, .headers = {{"content-type", "application/json"}}, .body = Dump(json)};
}

std::string_view PurposeName(FilePurpose purpose) {
  return purpose == FilePurpose::kBatch ? "batch" : "batch_output";
}

std::string_view RoleName(Role role) {
  return role == Role::kOperator ? "operator" : "submitter";
}

Json FileJson(const File& file) {
  Json json = {{"id", file.id.value},       {"object", "file"},
               {"bytes", file.size_bytes},  {"created_at", UnixSeconds(file.created_at)},
               {"filename", file.filename}, {"purpose", PurposeName(file.purpose)},
               {"status", "processed"}};
  if (file.expires_at.has_value()) json["expires_at"] = UnixSeconds(*file.expires_at);
  return json;
}

Json BatchJson(const Job& job) {
  return {{"id", job.id.value},
          {"object", "batch"},
          {"endpoint", job.endpoint},
          {"model", TextOrNull(job.model.value)},
          {"errors", ErrorsJson(job)},
          {"input_file_id", job.input_file.value},
          {"completion_window", job.completion_window},
          {"status", JobStateName(job.state)},
          {"output_file_id", job.output_file ? Json(job.output_file->value) : Json(nullptr)},
          {"error_file_id", job.error_file ? Json(job.error_file->value) : Json(nullptr)},
          {"created_at", UnixSeconds(job.created_at)},
          {"in_progress_at", SecondsOrNull(job.in_progress_at)},
          {"expires_at", UnixSeconds(job.expires_at)},
          {"finalizing_at", SecondsOrNull(job.finalizing_at)},
          {"completed_at", SecondsOrNull(job.completed_at)},
          {"failed_at", SecondsOrNull(job.failed_at)},
          {"expired_at", SecondsOrNull(job.expired_at)},
          {"cancelling_at", SecondsOrNull(job.cancelling_at)},
          {"cancelled_at", SecondsOrNull(job.cancelled_at)},
          {"request_counts",
           {{"total", job.counts.total},
            {"completed", job.counts.completed},
            {"failed", job.counts.failed}}},
          {"usage",
           {{"input_tokens", job.usage.prompt_tokens},
            {"input_tokens_details", {{"cached_tokens", 0}}},
            {"output_tokens", job.usage.completion_tokens},
            {"output_tokens_details", {{"reasoning_tokens", 0}}},
            {"total_tokens", job.usage.prompt_tokens + job.usage.completion_tokens}}},
          {"metadata", job.metadata.empty() ? Json(nullptr) : Json(job.metadata)}};
}

Json ModelJson(const Model& model) {
  return {{"id", model.id.value},
          {"object", "model"},
          {"created", UnixSeconds(model.created_at)},
          {"owned_by", "fallow"}};
}

Json RequestJson(const JobService::RequestView& view) {
  const Json line = ParseOrNull(view.line);
  Json body = nullptr;
  if (line.is_object() && line.contains("body")) body = line["body"];
  Json error = nullptr;
  if (view.result.has_value() && view.result->result.error.has_value()) {
    const Error& failure = *view.result->result.error;
    error = {{"code", ErrorCodeName(failure.code)}, {"message", failure.message}};
  }
  return {{"index", view.request.index},
          {"custom_id", view.request.custom_id},
          {"state", RequestStateName(view.request.state)},
          {"body", std::move(body)},
          {"response", ParseOrNull(view.response_json)},
          {"error", std::move(error)},
          {"device", view.result ? Json(view.result->device.value) : Json(nullptr)}};
}

Json ModelCardJson(const Model& model) {
  return {{"id", model.id.value},
          {"digest", model.artifact.Hex()},
          {"size_bytes", model.size_bytes},
          {"created_at", UnixSeconds(model.created_at)},
          {"card", ParseOrNull(model.card_json)}};
}

Json KeyJson(const ApiKey& key) {
  return {{"id", key.id.value},
          {"account", key.account.value},
          {"role", RoleName(key.role)},
          {"name", key.name},
          {"prefix", key.prefix},
          {"created_at", UnixSeconds(key.created_at)},
          {"revoked_at", SecondsOrNull(key.revoked_at)}};
}

Json DeviceJson(const Device& device, const std::vector<Lease>& leases, WallTime now) {
  const bool offline = now - device.last_seen_at > kDeviceSilence;
  Json lease_list = Json::array();
  for (const Lease& lease : leases)
    lease_list.push_back({{"id", lease.id.value},
                          {"job", lease.job.value},
                          {"requests", lease.request_indices.size()},
                          {"expires_at", UnixSeconds(lease.expires_at)}});
  return {
      {"id", device.id.value},
      {"hostname", device.profile.hostname},
      {"operating_system", device.profile.operating_system},
      {"agent_version", device.profile.agent_version},
      {"backend", BackendOrNull(device.profile.backend)},
      {"processor", device.profile.processor},
      {"driver", device.profile.driver},
      {"memory_bytes", device.profile.memory_bytes},
      {"state", offline ? "offline" : DeviceStateName(device.status.state)},
      {"reason", offline ? "nothing heard for 90 s" : device.status.reason},
      {"tokens_per_second", offline ? 0.0 : device.status.tokens_per_second},
      {"embedding_tokens_per_second", offline ? 0.0 : device.status.embedding_tokens_per_second},
      {"yields", YieldsOrNull(device.status.yields)},
      {"enrolled_at", UnixSeconds(device.enrolled_at)},
      {"last_seen_at", UnixSeconds(device.last_seen_at)},
      {"completed_requests", device.completed_request_count},
      {"generated_tokens", device.generated_token_count},
      {"leases", std::move(lease_list)}};
}

}  // namespace fallow::api
