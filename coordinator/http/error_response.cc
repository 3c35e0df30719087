#include "coordinator/http/error_response.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace fallow::http {
namespace {

std::string_view TypeOfStatus(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

// A permanent conflict is 400, never 409: clients repeat 409.
int StatusOfError(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kFailedPrecondition:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kResourceExhausted:
      return 507;
    case ErrorCode::kUnimplemented:
      return 501;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kCancelled:
    case ErrorCode::kDataLoss:
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

// The coordinator's own paths are for its log.
std::string ForClients(int status, const std::string& message) {
  switch (status) {
    case 500:
      return "The coordinator failed; its log says how.";
    case 507:
      return "The coordinator has no room to keep this: its disk is full, or this is larger than "
             "anything it takes; its log says which.";
    default:
      return message;
  }
}

nlohmann::json TextOrNull(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

}  // namespace

Response ErrorResponse(const ErrorBody& error) {
  const nlohmann::json body = {
      {"error",
       {{"message", error.message},
        {"type", error.type.empty() ? TypeOfStatus(error.status) : error.type},
        {"param", TextOrNull(error.param)},
        {"code", TextOrNull(error.code)}}}};
  return {.status = error.status,
          .headers = {{"content-type", "application/json"}},
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

Response ErrorResponse(const Error& error) {
  const int status = StatusOfError(error.code);
  if (status >= 500) LOG_ERROR("http: a call failed status={} error=\"{}\"", status, error.message);
  return ErrorResponse({.status = status,
                        .message = ForClients(status, error.message),
                        .code = std::string(ErrorCodeName(error.code))});
}

}  // namespace fallow::http
