// Between the values of protocol/inference.h and their wire forms, with every check. Private to
// protocol/.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "protocol/inference.h"
#include "protocol/limits.h"
#include "protocol/wire_shape.h"

namespace fallow::wire {

class AttemptResult;
class Failure;
class InferenceRequest;
class WorkProgress;

// Checks of one field; errors name it and the limit.
Status CheckText(std::string_view field, std::string_view text, std::size_t max_bytes);
// 1 … kMaxIdBytes printable ASCII characters, no space.
Status CheckId(std::string_view field, std::string_view text);
Status CheckCount(std::string_view field, std::size_t count, std::size_t max_count);
Result<Digest> ToDigest(std::string_view field, const std::string& bytes);
std::unexpected<Error> FieldError(std::string_view field, std::string_view problem);

inline std::string DigestBytes(const Digest& digest) {
  return std::string(AsText(ByteView(digest.bytes)));
}

extern const Shape kInferenceRequestShape;
extern const Shape kAttemptResultShape;

void FromValue(const fallow::InferenceRequest& value, InferenceRequest& wire);
void FromValue(const fallow::AttemptResult& value, AttemptResult& wire);
void FromValue(const fallow::WorkProgress& value, WorkProgress& wire);
void FromValue(const Error& value, Failure& wire);

// A worker's results carry no attempt id; an agent's must.
enum class AttemptIdRule : std::uint8_t { kRequired, kAbsent };

Result<fallow::InferenceRequest> ToValue(InferenceRequest&& wire);
Result<fallow::AttemptResult> ToValue(AttemptResult&& wire, AttemptIdRule rule);
fallow::WorkProgress ToValue(const WorkProgress& wire);
Result<Error> ToValue(Failure&& wire);

// Checks size, shape and wire format, then parses `bytes` as a Message.
template <class Message>
Result<Message> Parse(ByteView bytes, std::size_t max_bytes, Shape shape) {
  if (bytes.size() > max_bytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} bytes; at most {}", bytes.size(), max_bytes));
  }
  FALLOW_RETURN_IF_ERROR(CheckShape(bytes, shape));
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kInvalidArgument, "not a protobuf message of this kind");
  }
  return message;
}

template <class Message>
Bytes Serialize(const Message& message) {
  Bytes bytes(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(bytes.data());
  return bytes;
}

}  // namespace fallow::wire
