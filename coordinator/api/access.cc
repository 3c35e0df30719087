#include "coordinator/api/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/http/error_response.h"

namespace fallow::api {
namespace {

constexpr std::chrono::hours kSessionLifetime{12};
constexpr std::size_t kMaxSessions = 10'000;
constexpr std::size_t kSessionIdBytes = 32;
constexpr std::string_view kCookieName = "__Host-fallow-session";
constexpr std::string_view kCookieAttributes = "Path=/; HttpOnly; Secure; SameSite=Strict";

std::optional<std::string_view> BearerSecret(const http::RequestHead& head) {
  std::string_view value = head.Header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  const bool matches =
      value.size() > kScheme.size() &&
      std::ranges::equal(value.substr(0, kScheme.size()), kScheme,
                         [](unsigned char a, char b) { return std::tolower(a) == b; });
  if (!matches) return std::nullopt;
  return value.substr(value.find_first_not_of(' ', kScheme.size()));
}

std::optional<std::string> SessionId(const http::RequestHead& head) {
  for (const auto& [name, value] : head.headers) {
    if (name != "cookie") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t semicolon = rest.find(';');
      std::string_view pair = rest.substr(0, semicolon);
      rest = semicolon == std::string_view::npos ? std::string_view() : rest.substr(semicolon + 1);
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      if (pair.size() > kCookieName.size() && pair.starts_with(kCookieName) &&
          pair[kCookieName.size()] == '=')
        return std::string(pair.substr(kCookieName.size() + 1));
    }
  }
  return std::nullopt;
}

// A browser sends the cookie by itself, so a write with it must also show that our own page made
// it. SameSite alone lets pages of other ports through. Browsers say where a request comes from;
// where one does not, the request must be of a kind that other origins cannot make without asking
// first, which we never answer.
bool IsForgeable(const http::RequestHead& head) {
  if (head.method == "GET" || head.method == "HEAD") return false;
  if (const std::string_view site = head.Header("sec-fetch-site"); !site.empty())
    return site != "same-origin";
  if (const std::string_view origin = head.Header("origin"); !origin.empty())
    return origin != fmt::format("https://{}", head.Header("host"));
  return head.method == "POST" && !head.Header("content-type").starts_with("application/json");
}

http::Response NoKey() {
  return http::ErrorResponse(
      {.status = 401,
       .message = "This call needs an API key: send it as \"Authorization: Bearer sk-fallow-…\".",
       .type = "invalid_request_error",
       .code = "missing_api_key"});
}

http::Response WrongKey() {
  return http::ErrorResponse(
      {.status = 401,
       .message = "The API key is not valid here: it is unknown or has been revoked.",
       .type = "invalid_request_error",
       .code = "invalid_api_key"});
}

}  // namespace

std::expected<ApiKey, http::Response> Access::Check(const http::RequestHead& head, By by) {
  std::optional<std::string> secret;
  bool by_session = false;
  if (const auto bearer = BearerSecret(head)) {
    secret = std::string(*bearer);
  } else if (by == By::kKeyOrSession) {
    if (const Session* session = FindSession(head)) {
      secret = session->secret;
      by_session = true;
    }
  }
  if (!secret.has_value()) return std::unexpected(NoKey());
  if (by_session && IsForgeable(head))
    return std::unexpected(http::ErrorResponse(
        {.status = 403,
         .message = "A write with the dashboard's cookie must come from the dashboard itself.",
         .code = "cross_site_request"}));
  auto key = keys_.Find(*secret);
  if (!key.has_value()) return std::unexpected(http::ErrorResponse(key.error()));
  if (!key->has_value()) return std::unexpected(WrongKey());
  return **std::move(key);
}

bool Access::StillValid(const http::RequestHead& head, By by) {
  return Check(head, by).has_value();
}

Result<std::optional<std::string>> Access::SignIn(std::string_view secret) {
  FALLOW_ASSIGN_OR_RETURN(const auto key, keys_.Find(secret));
  if (!key.has_value()) return std::nullopt;
  const SteadyTime now = clock_.Steady();
  std::erase_if(sessions_, [&](const auto& entry) { return entry.second.expires_at <= now; });
  if (sessions_.size() >= kMaxSessions) {
    sessions_.erase(std::ranges::min_element(
        sessions_, {}, [](const auto& entry) { return entry.second.expires_at; }));
  }
  std::string id = random_.Hex(kSessionIdBytes);
  std::string cookie =
      fmt::format("{}={}; Max-Age={}; {}", kCookieName, id,
                  std::chrono::seconds(kSessionLifetime).count(), kCookieAttributes);
  sessions_[std::move(id)] = {std::string(secret), now + kSessionLifetime};
  return cookie;
}

std::string Access::SignOut(const http::RequestHead& head) {
  if (const auto id = SessionId(head)) sessions_.erase(*id);
  return fmt::format("{}=; Max-Age=0; {}", kCookieName, kCookieAttributes);
}

Access::Session* Access::FindSession(const http::RequestHead& head) {
  const auto id = SessionId(head);
  if (!id.has_value()) return nullptr;
  const auto found = sessions_.find(*id);
  if (found == sessions_.end()) return nullptr;
  if (found->second.expires_at <= clock_.Steady()) {
    sessions_.erase(found);
    return nullptr;
  }
  return &found->second;
}

http::RouteHandler WithKey(Access& access, Access::By by, KeyedHandler handler) {
  return [&access, by, handler = std::move(handler)](
             const http::Call& call,
             std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
    auto key = access.Check(call.head, by);
    if (!key.has_value()) {
      responder->Send(std::move(key.error()));
      return nullptr;
    }
    return handler(call, *key, std::move(responder));
  };
}

http::RouteHandler ForOperators(Access& access, KeyedHandler handler) {
  return WithKey(
      access, Access::By::kKeyOrSession,
      [handler = std::move(handler)](
          const http::Call& call, const ApiKey& key,
          std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
        if (key.role != Role::kOperator) {
          responder->Send(http::ErrorResponse({.status = 403,
                                               .message = "This call is for operators' keys only.",
                                               .code = "operator_only"}));
          return nullptr;
        }
        return handler(call, key, std::move(responder));
      });
}

}  // namespace fallow::api
