// The coordinator's records as the commands show them, read from /api (docs/PROTOCOL.md).
//
// A field that is missing or of another type reads as its default: an older or newer coordinator
// must not break a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/api.h"

namespace fallow::cli {

struct JobProblem {
  std::uint64_t line = 0;  // of the input file, from 1; 0: the file as a whole
  std::string code, message;
};

struct JobRecord {
  std::string id, state, model, endpoint, input_file;
  std::optional<std::string> output_file, error_file;
  std::uint64_t total = 0, completed = 0, failed = 0;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  double tokens_per_second = 0;
  std::uint64_t generated_tokens = 0, devices = 0;
  std::optional<double> seconds_left;
  std::int64_t created_at = 0, ended_at = 0;  // Unix seconds; 0: not yet
  std::vector<JobProblem> problems;

  bool is_final() const { return state == "completed" || ended_badly(); }
  bool ended_badly() const {
    return state == "failed" || state == "expired" || state == "cancelled";
  }
};
// kDataLoss if it is no job at all.
Result<JobRecord> ReadJob(const Json& json);

// How long the device's owner waits until it is free.
struct YieldRecord {
  double p50_ms = 0, p99_ms = 0;
};

struct DeviceRecord {
  std::string id, hostname, operating_system, backend, processor, state, reason;
  double tokens_per_second = 0;
  std::optional<YieldRecord> yields;  // none: not measured
  std::uint64_t completed_requests = 0, leases = 0;
  std::int64_t last_seen_at = 0;
};
DeviceRecord ReadDevice(const Json& json);

struct ModelMemory {
  std::uint64_t sequences = 0, tokens = 0, bytes = 0;  // so many sequences of so many tokens each
};

struct ModelRecord {
  std::string id, digest, architecture, title, license, weight_types, tokenizer;
  std::string chat;     // "yes", "none"; empty: not known
  std::string pooling;  // "none": it generates; empty: not known
  std::uint64_t size_bytes = 0, parameter_count = 0, context_length = 0, layer_count = 0,
                embedding_length = 0, vocabulary_size = 0;
  std::vector<ModelMemory> memory;
  std::int64_t created_at = 0;

  bool embeds() const { return !pooling.empty() && pooling != "none"; }
};
ModelRecord ReadModel(const Json& json);

struct KeyRecord {
  std::string id, name, role, account, prefix;
  std::int64_t created_at = 0, revoked_at = 0;
};
KeyRecord ReadKey(const Json& json);

// Fields of an object, by name.
std::string TextOf(const Json& json, const char* name);
std::uint64_t CountOf(const Json& json, const char* name);
bool FlagOf(const Json& json, const char* name);
double NumberOf(const Json& json, const char* name);
// The elements of `json`'s array "data"; empty if there is none.
std::vector<Json> DataOf(const Json& json);

}  // namespace fallow::cli
