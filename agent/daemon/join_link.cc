#include "agent/daemon/join_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "protocol/limits.h"

namespace fallow {
namespace {

constexpr std::string_view kShape =
    "a join link looks like https://HOST:PORT/#join=TOKEN&pin=64 HEX DIGITS";

std::unexpected<Error> Malformed(std::string_view what) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}; {}", what, kShape));
}

// The value of `name=` among the `&`-separated parts.
std::optional<std::string_view> FindPart(std::string_view parts, std::string_view name) {
  while (!parts.empty()) {
    const auto end = std::min(parts.find('&'), parts.size());
    const std::string_view part = parts.substr(0, end);
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=') {
      return part.substr(name.size() + 1);
    }
    parts.remove_prefix(std::min(end + 1, parts.size()));
  }
  return std::nullopt;
}

}  // namespace

Result<JoinLink> ParseJoinLink(std::string_view link) {
  constexpr std::string_view kScheme = "https://";
  constexpr std::string_view kBlanks = " \t\r\n";  // what is copied with a link
  link.remove_prefix(std::min(link.find_first_not_of(kBlanks), link.size()));
  link = link.substr(0, link.find_last_not_of(kBlanks) + 1);
  if (!link.starts_with(kScheme)) return Malformed("the link does not begin with https://");
  const auto hash = link.find('#');
  if (hash == std::string_view::npos) {
    return Malformed(
        "the link has no part behind '#' (a shell may have cut it off: put it in quotes)");
  }
  std::string_view url = link.substr(0, hash);
  while (url.ends_with('/')) url.remove_suffix(1);
  if (url.size() <= kScheme.size() ||
      url.substr(kScheme.size()).find_first_of("/?@ ") != std::string_view::npos) {
    return Malformed("the link does not name a host and a port");
  }
  const std::string_view parts = link.substr(hash + 1);
  const auto token = FindPart(parts, "join");
  if (!token && FindPart(parts, "key")) {
    return Malformed(
        "this is a link to sign in with, whose key nobody else may have: ask the operator for the "
        "join link");
  }
  if (!token || token->empty() || token->size() > kMaxIdBytes) {
    return Malformed(
        "the link carries no join token (an ampersand may have cut it off: put it in quotes)");
  }
  const auto pin_text = FindPart(parts, "pin");
  const auto pin = pin_text ? Digest::FromHex(*pin_text) : std::nullopt;
  if (!pin)
    return Malformed(
        "the link carries no valid pin (an ampersand may have cut it off: put it in quotes)");
  return JoinLink{.coordinator_url = std::string(url), .token = std::string(*token), .pin = *pin};
}

}  // namespace fallow
