#include "coordinator/core/completion.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/encoding.h"
#include "coordinator/core/embedding_output.h"

namespace fallow {
namespace {

using Json = nlohmann::ordered_json;

// OpenAI's `created` must be an integer; the true time would make two runs of one batch differ.
// This is 2026-01-01T00:00:00Z, before which no coordinator answered anything.
constexpr std::int64_t kCompletionCreated = 1'767'225'600;

// SHA-256 of what, in which file, which request.
Digest Derive(std::string_view what, const Digest& input_artifact, std::uint64_t request_index) {
  Sha256 sha256;
  sha256.Update("fallow-v1 ");
  sha256.Update(what);
  sha256.Update("\n");
  sha256.Update(ByteView(input_artifact.bytes));
  std::uint8_t index_bytes[8];
  for (int i = 0; i < 8; ++i) index_bytes[i] = static_cast<std::uint8_t>(request_index >> (8 * i));
  sha256.Update(ByteView(index_bytes));
  return sha256.Finish();
}

std::string DerivedId(std::string_view prefix, const Job& job, std::uint64_t request_index) {
  const Digest digest = Derive(prefix, job.input_artifact, request_index);
  return std::string(prefix) + ToHex(ByteView(digest.bytes).first(12));
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Completion(const Job& job, const CanonicalResult& canonical) {
  const AttemptResult& result = canonical.result;
  const std::size_t completion_tokens = result.token_ids.size();
  return {
      {"id", DerivedId("chatcmpl-", job, result.request_index)},
      {"object", "chat.completion"},
      {"created", kCompletionCreated},
      {"model", job.model.value},
      {"choices",
       Json::array(
           {{{"index", 0},
             {"message", {{"role", "assistant"}, {"content", result.text}, {"refusal", nullptr}}},
             {"logprobs", nullptr},
             {"finish_reason", result.finish_reason == FinishReason::kStop ? "stop" : "length"}}})},
      {"usage",
       {{"prompt_tokens", result.prompt_token_count},
        {"completion_tokens", completion_tokens},
        {"total_tokens", result.prompt_token_count + completion_tokens}}},
      {"system_fingerprint", "fp_" + job.model_artifact.Hex().substr(0, 16)},
  };
}

Json Response(const Job& job, std::uint64_t request_index, int status_code, Json body) {
  return {{"status_code", status_code},
          {"request_id", DerivedId("req_", job, request_index)},
          {"body", std::move(body)}};
}

std::string Line(const Job& job, const Request& request, Json response, Json error) {
  return Dump(Json{{"id", DerivedId("batch_req_", job, request.index)},
                   {"custom_id", request.custom_id},
                   {"response", std::move(response)},
                   {"error", std::move(error)}}) +
         "\n";
}

// Put together as text: the values of a large result as JSON objects would take many times its
// size.
std::string EmbeddingsLine(const Job& job, const RequestOutcome& outcome) {
  const std::uint64_t index = outcome.request.index;
  std::string line = fmt::format(
      R"({{"id":"{}","custom_id":{},"response":{{"status_code":200,"request_id":"{}","body":)",
      DerivedId("batch_req_", job, index), Dump(outcome.request.custom_id),
      DerivedId("req_", job, index));
  AppendEmbeddingList(job, outcome.request, outcome.result->result, line);
  line += R"(},"error":null})"
          "\n";
  return line;
}

}  // namespace

std::uint64_t AssignedSeed(const Digest& input_artifact, std::uint64_t request_index) {
  const Digest digest = Derive("seed", input_artifact, request_index);
  std::uint64_t seed = 0;
  for (int i = 7; i >= 0; --i) seed = seed << 8 | digest.bytes[static_cast<std::size_t>(i)];
  return seed;
}

std::string CompletionJson(const Job& job, const CanonicalResult& canonical) {
  return Dump(Completion(job, canonical));
}

std::string OutputLine(const Job& job, const RequestOutcome& outcome) {
  if (job.asks_for_vectors()) return EmbeddingsLine(job, outcome);
  return Line(job, outcome.request,
              Response(job, outcome.request.index, 200, Completion(job, *outcome.result)), nullptr);
}

std::string ErrorLine(const Job& job, const RequestOutcome& outcome) {
  if (outcome.result && outcome.result->result.error) {
    const Error& error = *outcome.result->result.error;
    const bool own_fault = error.code == ErrorCode::kInvalidArgument;
    Json body = {{"error",
                  {{"message", error.message},
                   {"type", own_fault ? "invalid_request_error" : "server_error"},
                   {"param", nullptr},
                   {"code", ErrorCodeName(error.code)}}}};
    return Line(job, outcome.request,
                Response(job, outcome.request.index, own_fault ? 400 : 500, std::move(body)),
                nullptr);
  }
  const bool cancelled = job.state == JobState::kCancelling || job.state == JobState::kCancelled;
  return Line(job, outcome.request, nullptr,
              {{"code", cancelled ? "batch_cancelled" : "batch_expired"},
               {"message", cancelled ? "the batch was cancelled before this request was finished"
                                     : "the batch expired before this request was finished"}});
}

}  // namespace fallow
