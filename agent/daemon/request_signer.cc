#include "agent/daemon/request_signer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/utf8.h"
#include "protocol/agent_messages.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

// An error body is a few lines; parsed, a body takes many times its size.
constexpr std::size_t kMaxErrorBodyBytes = 64 << 10;
// Shown to the owner on a terminal, and logged: no control characters.
bool IsShowable(std::string_view text) {
  return text.size() <= kMaxShortTextBytes && IsValidUtf8(text) &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// `error.NAME` of an error body; empty if there is none.
std::string ErrorField(const nlohmann::json& body, const char* name) {
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) return "";
  const auto& error = body["error"];
  if (!error.contains(name) || !error[name].is_string()) return "";
  std::string text = error[name].get<std::string>();
  return IsShowable(text) ? text : "";
}

ErrorCode CodeOfStatus(int status) {
  if (status == 401) return ErrorCode::kUnauthenticated;
  if (status == 403) return ErrorCode::kPermissionDenied;
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 410) return ErrorCode::kUnimplemented;
  if (status == 408 || status == 429 || status >= 500) return ErrorCode::kUnavailable;
  return ErrorCode::kInvalidArgument;
}

}  // namespace

HttpRequest RequestSigner::Make(std::string_view method, std::string_view path, Bytes body) const {
  const std::int64_t unix_ms = UnixMs(clock_.Wall());
  const std::string text = SignedText(method, path, unix_ms, Sha256::Of(ByteView(body)));
  HttpRequest request;
  request.method = method;
  request.url = coordinator_url_ + std::string(path);
  request.headers = {{"Fallow-Device", device_.value},
                     {"Fallow-Time", fmt::to_string(unix_ms)},
                     {"Fallow-Signature", ToBase64(key_.Sign(AsBytes(text)))}};
  if (method == "POST") request.headers.emplace_back("Content-Type", "application/x-protobuf");
  request.body = std::move(body);
  return request;
}

Error ErrorOfReply(const HttpReply& reply) {
  nlohmann::json body;
  if (reply.body.size() <= kMaxErrorBodyBytes)
    body = nlohmann::json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  // A clock that is off is set right some time; what was computed meanwhile is good.
  const bool clock_is_off = ErrorField(body, "code") == "stale_signature";
  const ErrorCode code = clock_is_off ? ErrorCode::kUnavailable : CodeOfStatus(reply.status);
  const std::string message = ErrorField(body, "message");
  return {code, fmt::format("the coordinator refused: {} (HTTP {})",
                            message.empty() ? "no reason given" : message, reply.status)};
}

bool IsTransient(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

}  // namespace fallow
