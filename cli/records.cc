#include "cli/records.h"

#include <algorithm>
#include <iterator>

namespace fallow::cli {

namespace {

const Json& FieldOf(const Json& json, const char* name) {
  static const Json none;
  if (!json.is_object()) return none;
  const auto found = json.find(name);
  return found == json.end() ? none : *found;
}

std::optional<std::string> OptionalTextOf(const Json& json, const char* name) {
  const Json& field = FieldOf(json, name);
  if (!field.is_string()) return std::nullopt;
  return field.get<std::string>();
}

std::int64_t TimeOf(const Json& json, const char* name) {
  return static_cast<std::int64_t>(CountOf(json, name));
}

// "weight_types" is a list of names or one text.
std::string JoinedTextOf(const Json& json, const char* name) {
  const Json& field = FieldOf(json, name);
  if (!field.is_array()) return TextOf(json, name);
  std::string joined;
  for (const Json& item : field) {
    if (item.is_string()) joined += (joined.empty() ? "" : " ") + item.get<std::string>();
  }
  return joined;
}

std::optional<YieldRecord> YieldsOf(const Json& device) {
  const Json& yields = FieldOf(device, "yields");
  if (!yields.is_object()) return std::nullopt;
  return YieldRecord{.p50_ms = NumberOf(yields, "p50_ms"), .p99_ms = NumberOf(yields, "p99_ms")};
}

// "chat" is a flag; the first coordinators wrote the template's kind.
std::string ChatOf(const Json& card) {
  if (FieldOf(card, "chat").is_boolean()) return FlagOf(card, "chat") ? "yes" : "none";
  return TextOf(card, "chat");
}

std::vector<ModelMemory> MemoryOf(const Json& card) {
  std::vector<ModelMemory> memory;
  const Json& rows = FieldOf(card, "memory");
  if (!rows.is_array()) return memory;
  for (const Json& row : rows) {
    memory.push_back({CountOf(row, "sequences"), CountOf(row, "tokens"), CountOf(row, "bytes")});
  }
  return memory;
}

}  // namespace

std::string TextOf(const Json& json, const char* name) {
  return OptionalTextOf(json, name).value_or("");
}

std::uint64_t CountOf(const Json& json, const char* name) {
  constexpr double kMax = 9e15;
  return static_cast<std::uint64_t>(std::clamp(NumberOf(json, name), 0.0, kMax));
}

bool FlagOf(const Json& json, const char* name) {
  const Json& field = FieldOf(json, name);
  return field.is_boolean() && field.get<bool>();
}

double NumberOf(const Json& json, const char* name) {
  const Json& field = FieldOf(json, name);
  return field.is_number() ? field.get<double>() : 0;
}

std::vector<Json> DataOf(const Json& json) {
  const Json& data = FieldOf(json, "data");
  if (!data.is_array()) return {};
  return {data.begin(), data.end()};
}

Result<JobRecord> ReadJob(const Json& json) {
  JobRecord job;
  job.id = TextOf(json, "id");
  job.state = TextOf(json, "status");
  if (job.id.empty() || job.state.empty()) {
    return Fail(ErrorCode::kDataLoss,
                "the coordinator's reply is not a job: id or status is missing");
  }
  job.model = TextOf(json, "model");
  job.endpoint = TextOf(json, "endpoint");
  job.input_file = TextOf(json, "input_file_id");
  job.output_file = OptionalTextOf(json, "output_file_id");
  job.error_file = OptionalTextOf(json, "error_file_id");
  const Json& counts = FieldOf(json, "request_counts");
  job.total = CountOf(counts, "total");
  job.completed = CountOf(counts, "completed");
  job.failed = CountOf(counts, "failed");
  const Json& usage = FieldOf(json, "usage");
  job.prompt_tokens = CountOf(usage, "input_tokens");
  job.completion_tokens = CountOf(usage, "output_tokens");
  const Json& progress = FieldOf(json, "progress");
  job.tokens_per_second = NumberOf(progress, "tokens_per_second");
  job.generated_tokens = CountOf(progress, "generated_tokens");
  job.devices = CountOf(progress, "devices");
  if (FieldOf(progress, "seconds_left").is_number())
    job.seconds_left = NumberOf(progress, "seconds_left");
  job.created_at = TimeOf(json, "created_at");
  for (const char* name : {"completed_at", "failed_at", "expired_at", "cancelled_at"}) {
    job.ended_at = std::max(job.ended_at, TimeOf(json, name));
  }
  for (const Json& problem : DataOf(FieldOf(json, "errors"))) {
    job.problems.push_back(
        {CountOf(problem, "line"), TextOf(problem, "code"), TextOf(problem, "message")});
  }
  return job;
}

DeviceRecord ReadDevice(const Json& json) {
  const Json& leases = FieldOf(json, "leases");
  return {.id = TextOf(json, "id"),
          .hostname = TextOf(json, "hostname"),
          .operating_system = TextOf(json, "operating_system"),
          .backend = TextOf(json, "backend"),
          .processor = TextOf(json, "processor"),
          .state = TextOf(json, "state"),
          .reason = TextOf(json, "reason"),
          .tokens_per_second = NumberOf(json, "tokens_per_second"),
          .yields = YieldsOf(json),
          .completed_requests = CountOf(json, "completed_requests"),
          .leases = leases.is_array() ? leases.size() : 0,
          .last_seen_at = TimeOf(json, "last_seen_at")};
}

ModelRecord ReadModel(const Json& json) {
  const Json& card = FieldOf(json, "card");
  return {.id = TextOf(json, "id"),
          .digest = TextOf(json, "digest"),
          .architecture = TextOf(card, "architecture"),
          .title = TextOf(card, "name"),
          .license = TextOf(card, "license"),
          .weight_types = JoinedTextOf(card, "weight_types"),
          .tokenizer = TextOf(card, "tokenizer"),
          .chat = ChatOf(card),
          .pooling = TextOf(card, "pooling"),
          .size_bytes = CountOf(json, "size_bytes"),
          .parameter_count = CountOf(card, "parameter_count"),
          .context_length = CountOf(card, "context_length"),
          .layer_count = CountOf(card, "layer_count"),
          .embedding_length = CountOf(card, "embedding_length"),
          .vocabulary_size = CountOf(card, "vocabulary_size"),
          .memory = MemoryOf(card),
          .created_at = TimeOf(json, "created_at")};
}

KeyRecord ReadKey(const Json& json) {
  return {.id = TextOf(json, "id"),
          .name = TextOf(json, "name"),
          .role = TextOf(json, "role"),
          .account = TextOf(json, "account"),
          .prefix = TextOf(json, "prefix"),
          .created_at = TimeOf(json, "created_at"),
          .revoked_at = TimeOf(json, "revoked_at")};
}

}  // namespace fallow::cli
