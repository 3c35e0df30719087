#include "protocol/inference_wire.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"
#include "generated/protocol/inference.pb.h"

namespace fallow::wire {
namespace {

constexpr std::array kInferenceRequestRules = {
    ShapeRule{InferenceRequest::kMessagesFieldNumber, "messages", kMaxMessagesPerRequest},
    ShapeRule{InferenceRequest::kStopFieldNumber, "stop", kMaxStopStrings},
    ShapeRule{InferenceRequest::kSamplingFieldNumber, "sampling", 1},
    ShapeRule{InferenceRequest::kInputsFieldNumber, "inputs", kMaxEmbeddingInputs},
};
constexpr std::size_t kMaxDigests =
    (kMaxGeneratedTokens + kGeneratedTokensPerDigest - 1) / kGeneratedTokensPerDigest;
constexpr std::array kAttemptResultRules = {
    ShapeRule{AttemptResult::kErrorFieldNumber, "error", 1},
    ShapeRule{AttemptResult::kStateDigestsFieldNumber, "state_digests", kMaxDigests},
    ShapeRule{AttemptResult::kEmbeddingsFieldNumber, "embeddings", kMaxEmbeddingInputs},
};

constexpr std::array<std::pair<ErrorCode, FailureCode>, 13> kFailureCodes = {{
    {ErrorCode::kInvalidArgument, INVALID_ARGUMENT},
    {ErrorCode::kNotFound, NOT_FOUND},
    {ErrorCode::kAlreadyExists, ALREADY_EXISTS},
    {ErrorCode::kPermissionDenied, PERMISSION_DENIED},
    {ErrorCode::kUnauthenticated, UNAUTHENTICATED},
    {ErrorCode::kResourceExhausted, RESOURCE_EXHAUSTED},
    {ErrorCode::kFailedPrecondition, FAILED_PRECONDITION},
    {ErrorCode::kUnavailable, UNAVAILABLE},
    {ErrorCode::kDeadlineExceeded, DEADLINE_EXCEEDED},
    {ErrorCode::kCancelled, CANCELLED},
    {ErrorCode::kDataLoss, DATA_LOSS},
    {ErrorCode::kUnimplemented, UNIMPLEMENTED},
    {ErrorCode::kInternal, INTERNAL},
}};

Result<fallow::ChatMessage> ToValue(ChatMessage&& wire) {
  const std::string& role = wire.role();
  if (role != "system" && role != "user" && role != "assistant") {
    return FieldError("role", "not one of system, user, assistant");
  }
  FALLOW_RETURN_IF_ERROR(CheckText("content", wire.content(), kMaxRequestTextBytes));
  return fallow::ChatMessage{.role = role, .content = std::move(*wire.mutable_content())};
}

Result<fallow::Sampling> ToValue(const Sampling& wire) {
  if (!(wire.temperature() >= 0.0f && wire.temperature() <= 2.0f)) {
    return FieldError("temperature", fmt::format("{} is not within 0 and 2", wire.temperature()));
  }
  if (!(wire.top_p() > 0.0f && wire.top_p() <= 1.0f)) {
    return FieldError("top_p", fmt::format("{} is not above 0 and at most 1", wire.top_p()));
  }
  return fallow::Sampling{.temperature = wire.temperature(),
                          .top_p = wire.top_p(),
                          .top_k = wire.top_k(),
                          .seed = wire.seed()};
}

Status ReadMessages(InferenceRequest& wire, fallow::InferenceRequest& value) {
  FALLOW_RETURN_IF_ERROR(CheckCount("messages", wire.messages_size(), kMaxMessagesPerRequest));
  value.messages.reserve(wire.messages_size());
  std::size_t text_bytes = 0;
  for (int i = 0; i < wire.messages_size(); ++i) {
    auto message = ToValue(std::move(*wire.mutable_messages(i)));
    if (!message) return Wrap(std::move(message).error(), fmt::format("messages[{}]", i));
    text_bytes += message->content.size();
    value.messages.push_back(*std::move(message));
  }
  if (text_bytes > kMaxRequestTextBytes) {
    return FieldError(
        "messages", fmt::format("{} bytes of text; at most {}", text_bytes, kMaxRequestTextBytes));
  }
  return {};
}

Status ReadInputs(InferenceRequest& wire, fallow::InferenceRequest& value) {
  FALLOW_RETURN_IF_ERROR(CheckCount("inputs", wire.inputs_size(), kMaxEmbeddingInputs));
  value.inputs.reserve(wire.inputs_size());
  std::size_t text_bytes = 0, token_count = 0;
  for (int i = 0; i < wire.inputs_size(); ++i) {
    EmbeddingInput& input = *wire.mutable_inputs(i);
    const std::string field = fmt::format("inputs[{}]", i);
    if (input.text().empty() == input.token_ids().empty())
      return FieldError(field, "must have text or token_ids, one of the two");
    FALLOW_RETURN_IF_ERROR(CheckText(field, input.text(), kMaxRequestTextBytes));
    text_bytes += input.text().size();
    token_count += static_cast<std::size_t>(input.token_ids_size());
    value.inputs.push_back(
        {std::move(*input.mutable_text()), {input.token_ids().begin(), input.token_ids().end()}});
  }
  if (text_bytes > kMaxRequestTextBytes) {
    return FieldError(
        "inputs", fmt::format("{} bytes of text; at most {}", text_bytes, kMaxRequestTextBytes));
  }
  if (token_count > kMaxInputTokenIds) {
    return FieldError("inputs",
                      fmt::format("{} token ids; at most {}", token_count, kMaxInputTokenIds));
  }
  return {};
}

// How an answer is to be generated.
Status ReadGeneration(InferenceRequest& wire, fallow::InferenceRequest& value) {
  if (wire.max_tokens() > kMaxGeneratedTokens) {
    return FieldError("max_tokens",
                      fmt::format("{}; at most {}", wire.max_tokens(), kMaxGeneratedTokens));
  }
  value.max_tokens = wire.max_tokens();
  FALLOW_RETURN_IF_ERROR(CheckCount("stop", wire.stop_size(), kMaxStopStrings));
  for (int i = 0; i < wire.stop_size(); ++i) {
    const std::string field = fmt::format("stop[{}]", i);
    if (wire.stop(i).empty()) return FieldError(field, "empty");
    FALLOW_RETURN_IF_ERROR(CheckText(field, wire.stop(i), kMaxStopStringBytes));
    value.stop.push_back(std::move(*wire.mutable_stop(i)));
  }
  if (!wire.has_sampling()) return FieldError("sampling", "missing");
  auto sampling = ToValue(wire.sampling());
  if (!sampling) return Wrap(std::move(sampling).error(), "sampling");
  value.sampling = *sampling;
  return {};
}

Status ReadDigests(AttemptResult& wire, std::size_t due, std::string_view of_what,
                   fallow::AttemptResult& value) {
  if (static_cast<std::size_t>(wire.state_digests_size()) != due) {
    return FieldError("state_digests", fmt::format("{} of them; {} have {}",
                                                   wire.state_digests_size(), of_what, due));
  }
  value.state_digests.reserve(due);
  for (const std::string& bytes : wire.state_digests()) {
    auto digest = ToDigest("state_digests", bytes);
    if (!digest) return std::unexpected(std::move(digest).error());
    value.state_digests.push_back(*digest);
  }
  return {};
}

Status ReadAnswer(AttemptResult& wire, fallow::AttemptResult& value) {
  switch (wire.finish_reason()) {
    case STOP:
      value.finish_reason = fallow::FinishReason::kStop;
      break;
    case LENGTH:
      value.finish_reason = fallow::FinishReason::kLength;
      break;
    default:
      return FieldError("finish_reason", "missing or unknown");
  }
  FALLOW_RETURN_IF_ERROR(CheckText("text", wire.text(), kMaxResultTextBytes));
  value.text = std::move(*wire.mutable_text());
  FALLOW_RETURN_IF_ERROR(CheckCount("token_ids", wire.token_ids_size(), kMaxGeneratedTokens));
  value.token_ids.assign(wire.token_ids().begin(), wire.token_ids().end());
  const std::size_t digest_count =
      (value.token_ids.size() + kGeneratedTokensPerDigest - 1) / kGeneratedTokensPerDigest;
  return ReadDigests(wire, digest_count, fmt::format("{} generated tokens", value.token_ids.size()),
                     value);
}

Status ReadEmbeddings(AttemptResult& wire, fallow::AttemptResult& value) {
  if (!wire.text().empty() || !wire.token_ids().empty())
    return FieldError("embeddings", "with text or token_ids: a result has one or the other");
  FALLOW_RETURN_IF_ERROR(CheckCount("embeddings", wire.embeddings_size(), kMaxEmbeddingInputs));
  const int length = wire.embeddings(0).values_size();
  if (length == 0 || static_cast<std::size_t>(length) > kMaxEmbeddingLength) {
    return FieldError("embeddings[0]",
                      fmt::format("{} values; 1 to {} are allowed", length, kMaxEmbeddingLength));
  }
  const auto count = static_cast<std::size_t>(wire.embeddings_size());
  FALLOW_RETURN_IF_ERROR(CheckCount("values of embeddings",
                                    count * static_cast<std::size_t>(length), kMaxEmbeddingValues));
  value.embeddings.reserve(count);
  for (const Embedding& embedding : wire.embeddings()) {
    const std::string field = fmt::format("embeddings[{}]", value.embeddings.size());
    if (embedding.values_size() != length) {
      return FieldError(
          field, fmt::format("{} values, the first has {}", embedding.values_size(), length));
    }
    if (!std::ranges::all_of(embedding.values(), [](float v) { return std::isfinite(v); }))
      return FieldError(field, "a value that is not finite");
    value.embeddings.emplace_back(embedding.values().begin(), embedding.values().end());
  }
  return ReadDigests(wire, count, fmt::format("{} embeddings", count), value);
}

}  // namespace

const Shape kInferenceRequestShape = kInferenceRequestRules;
const Shape kAttemptResultShape = kAttemptResultRules;

std::unexpected<Error> FieldError(std::string_view field, std::string_view problem) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", field, problem));
}

Status CheckText(std::string_view field, std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes) {
    return FieldError(field, fmt::format("{} bytes; at most {}", text.size(), max_bytes));
  }
  if (!IsValidUtf8(text)) return FieldError(field, "not UTF-8");
  return {};
}

Status CheckId(std::string_view field, std::string_view text) {
  if (text.empty()) return FieldError(field, "missing");
  if (text.size() > kMaxIdBytes) {
    return FieldError(field, fmt::format("{} bytes; at most {}", text.size(), kMaxIdBytes));
  }
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; })) {
    return FieldError(field, "has characters other than printable ASCII without spaces");
  }
  return {};
}

Status CheckCount(std::string_view field, std::size_t count, std::size_t max_count) {
  if (count > max_count)
    return FieldError(field, fmt::format("{} of them; at most {}", count, max_count));
  return {};
}

Result<Digest> ToDigest(std::string_view field, const std::string& bytes) {
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    return FieldError(
        field, fmt::format("{} bytes; a SHA-256 digest has {}", bytes.size(), digest.bytes.size()));
  }
  std::ranges::copy(bytes, reinterpret_cast<char*>(digest.bytes.data()));
  return digest;
}

void FromValue(const fallow::InferenceRequest& value, InferenceRequest& wire) {
  wire.set_index(value.index);
  for (const fallow::EmbeddingInput& input : value.inputs) {
    EmbeddingInput& out = *wire.add_inputs();
    if (!input.token_ids.empty()) {
      out.mutable_token_ids()->Add(input.token_ids.begin(), input.token_ids.end());
    } else {
      out.set_text(input.text);
    }
  }
  if (!value.inputs.empty() && value.messages.empty()) return;
  for (const fallow::ChatMessage& message : value.messages) {
    ChatMessage& out = *wire.add_messages();
    out.set_role(message.role);
    out.set_content(message.content);
  }
  wire.set_max_tokens(value.max_tokens);
  for (const std::string& stop : value.stop) wire.add_stop(stop);
  Sampling& sampling = *wire.mutable_sampling();
  sampling.set_temperature(value.sampling.temperature);
  sampling.set_top_p(value.sampling.top_p);
  sampling.set_top_k(value.sampling.top_k);
  sampling.set_seed(value.sampling.seed);
}

void FromValue(const fallow::AttemptResult& value, AttemptResult& wire) {
  if (!value.attempt.empty()) wire.set_attempt_id(value.attempt.value);
  wire.set_request_index(value.request_index);
  if (value.error) {
    FromValue(*value.error, *wire.mutable_error());
    return;
  }
  wire.set_prompt_token_count(value.prompt_token_count);
  for (const Digest& digest : value.state_digests) wire.add_state_digests(DigestBytes(digest));
  for (const std::vector<float>& vector : value.embeddings)
    wire.add_embeddings()->mutable_values()->Add(vector.begin(), vector.end());
  if (!value.embeddings.empty() && value.text.empty() && value.token_ids.empty()) return;
  wire.set_finish_reason(value.finish_reason == fallow::FinishReason::kStop ? STOP : LENGTH);
  wire.set_text(value.text);
  wire.mutable_token_ids()->Add(value.token_ids.begin(), value.token_ids.end());
}

void FromValue(const fallow::WorkProgress& value, WorkProgress& wire) {
  wire.set_generated_token_count(value.generated_token_count);
  wire.set_prompt_token_count(value.prompt_token_count);
  wire.set_active_sequence_count(value.active_sequence_count);
  wire.set_waiting_request_count(value.waiting_request_count);
}

void FromValue(const Error& value, Failure& wire) {
  for (const auto& [code, wire_code] : kFailureCodes) {
    if (code == value.code) wire.set_code(wire_code);
  }
  FALLOW_CHECK(wire.has_code());
  wire.set_message(ToValidUtf8(value.message, kMaxShortTextBytes));
}

Result<fallow::InferenceRequest> ToValue(InferenceRequest&& wire) {
  fallow::InferenceRequest value;
  value.index = wire.index();
  if (!wire.inputs().empty()) {
    if (!wire.messages().empty())
      return FieldError("inputs", "with messages: a request has one or the other");
    FALLOW_RETURN_IF_ERROR(ReadInputs(wire, value));
    return value;
  }
  if (wire.messages().empty()) return FieldError("messages", "missing; at least one, or inputs");
  FALLOW_RETURN_IF_ERROR(ReadMessages(wire, value));
  FALLOW_RETURN_IF_ERROR(ReadGeneration(wire, value));
  return value;
}

Result<fallow::AttemptResult> ToValue(AttemptResult&& wire, AttemptIdRule rule) {
  fallow::AttemptResult value;
  if (rule == AttemptIdRule::kRequired) {
    FALLOW_RETURN_IF_ERROR(CheckId("attempt_id", wire.attempt_id()));
    value.attempt = AttemptId(std::move(*wire.mutable_attempt_id()));
  } else if (!wire.attempt_id().empty()) {
    return FieldError("attempt_id", "present, but a worker does not name attempts");
  }
  value.request_index = wire.request_index();
  if (wire.has_error()) {
    auto error = ToValue(std::move(*wire.mutable_error()));
    if (!error) return Wrap(std::move(error).error(), "error");
    value.error = *std::move(error);
    return value;
  }
  FALLOW_RETURN_IF_ERROR(wire.embeddings().empty() ? ReadAnswer(wire, value)
                                                   : ReadEmbeddings(wire, value));
  value.prompt_token_count = wire.prompt_token_count();
  return value;
}

fallow::WorkProgress ToValue(const WorkProgress& wire) {
  return {.generated_token_count = wire.generated_token_count(),
          .prompt_token_count = wire.prompt_token_count(),
          .active_sequence_count = wire.active_sequence_count(),
          .waiting_request_count = wire.waiting_request_count()};
}

Result<Error> ToValue(Failure&& wire) {
  FALLOW_RETURN_IF_ERROR(CheckText("message", wire.message(), kMaxShortTextBytes));
  for (const auto& [code, wire_code] : kFailureCodes) {
    if (wire.code() == wire_code) return Error{code, std::move(*wire.mutable_message())};
  }
  return FieldError("code", "missing or unknown");
}

}  // namespace fallow::wire
