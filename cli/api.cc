#include "cli/api.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace fallow::cli {

namespace {

ErrorCode CodeOfStatus(int status) {
  switch (status) {
    case 400:
      return ErrorCode::kInvalidArgument;
    case 401:
      return ErrorCode::kUnauthenticated;
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 413:
    case 429:
    case 507:
      return ErrorCode::kResourceExhausted;
    case 502:
    case 503:
    case 504:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

std::string_view WayOut(int status) {
  switch (status) {
    case 401:
      return "; to sign in anew: `fallow login LINK`";
    case 403:
      return "; an operator's key may be needed";
    default:
      return "";
  }
}

}  // namespace

Error ErrorOfReply(int status, std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  std::string message;
  if (json.is_object() && json.contains("error") && json["error"].is_object() &&
      json["error"].contains("message") && json["error"]["message"].is_string()) {
    message = json["error"]["message"].get<std::string>();
  } else {
    message = fmt::format("the coordinator answered with HTTP status {}", status);
  }
  const std::string_view way_out = WayOut(status);
  if (!way_out.empty() && message.ends_with('.')) message.pop_back();
  return Error{CodeOfStatus(status), Printable(message) + std::string(way_out)};
}

std::string PathSegment(std::string_view name) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string segment;
  for (const char c : name) {
    if (kPlain.find(c) != std::string_view::npos) {
      segment += c;
    } else {
      segment += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return segment;
}

}  // namespace fallow::cli
