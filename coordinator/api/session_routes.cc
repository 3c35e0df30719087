// /api/session and /api/me: the dashboard's sign-in.

#include "coordinator/api/context.h"
#include "coordinator/api/rate_limit.h"

namespace fallow::api {
namespace {

// Keys have 256 random bits; the limit only keeps a script from filling the log and the loop.
constexpr double kSignInBurst = 30;
constexpr std::chrono::milliseconds kSignInPace{1'000};

void SignIn(Access& access, const Json& body, http::Responder& responder) {
  const auto key = body.find("key");
  if (key == body.end() || !key->is_string()) {
    RefuseField(responder, "key", "The body must be {\"key\": \"sk-fallow-…\"}.",
                "missing_required_parameter");
    return;
  }
  const auto cookie = access.SignIn(key->get<std::string>());
  if (!cookie.has_value()) {
    responder.Send(http::ErrorResponse(cookie.error()));
  } else if (!cookie->has_value()) {
    responder.Send(http::ErrorResponse({.status = 401,
                                        .message = "This API key is unknown or has been revoked.",
                                        .code = "invalid_api_key"}));
  } else {
    responder.Send({.status = 204, .headers = {{"set-cookie", **cookie}}});
  }
}

}  // namespace

void AddSessionRoutes(http::Router& router, Context& context) {
  router.Add(
      "POST", "/api/session",
      [&context, limit = std::make_shared<RateLimit>(kSignInBurst, kSignInPace)](
          const http::Call& call,
          std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
        // JSON cannot be sent from a foreign page: nobody is signed in to somebody else's account.
        if (!call.head.Header("content-type").starts_with("application/json")) {
          responder->Send(http::ErrorResponse(
              {.status = 415,
               .message = "Sign in with a JSON body: Content-Type: application/json."}));
          return nullptr;
        }
        const std::string& peer = call.head.peer;
        if (!limit->Allow(peer.substr(0, peer.rfind(':')), context.clock.Steady())) {
          responder->Send(http::ErrorResponse(
              {.status = 429, .message = "Too many sign-ins from this address; wait a moment."}));
          return nullptr;
        }
        return CollectJson(responder, [&context, responder](const Json& body) {
          SignIn(context.access, body, *responder);
        });
      });

  router.Add("DELETE", "/api/session",
             [&context](const http::Call& call, std::shared_ptr<http::Responder> responder) {
               responder->Send(
                   {.status = 204, .headers = {{"set-cookie", context.access.SignOut(call.head)}}});
               return nullptr;
             });

  router.Add("GET", "/api/me",
             WithKey(context.access, Access::By::kKeyOrSession,
                     [&context](const http::Call&, const ApiKey& key,
                                std::shared_ptr<http::Responder> responder) {
                       responder->Send(
                           JsonResponse(200, {{"key_id", key.id.value},
                                              {"account", key.account.value},
                                              {"role", RoleName(key.role)},
                                              {"name", key.name},
                                              {"coordinator_version", context.options.version}}));
                       return nullptr;
                     }));
}

}  // namespace fallow::api
