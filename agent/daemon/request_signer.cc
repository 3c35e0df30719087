#include "agent/daemon/request_signer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/utf8.h"
#include "protocol/agent_messages.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

// `error.message` of an error body; empty if there is none.
std::string MessageOf(const HttpReply& reply) {
  const auto json = nlohmann::json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return "";
  const auto& error = json["error"];
  if (!error.contains("message") || !error["message"].is_string()) return "";
  std::string message = error["message"].get<std::string>();
  return message.size() <= kMaxShortTextBytes && IsValidUtf8(message) ? message : "";
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
  const ErrorCode code = CodeOfStatus(reply.status);
  const std::string message = MessageOf(reply);
  return {code, fmt::format("the coordinator refused: {} (HTTP {})", message.empty() ? "no reason given" : message,
                            reply.status)};
}

bool IsTransient(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

}  // namespace fallow
