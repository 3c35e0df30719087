// Who a call comes from: the API key it carries, or the dashboard session that stands for one.
//
// Sessions live in memory: a restart signs everybody out. Threading: the coordinator's loop.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/http/router.h"

namespace fallow::api {

class Access {
 public:
  Access(const Clock& clock, Random& random, KeyService& keys)
      : clock_(clock), random_(random), keys_(keys) {}

  enum class By { kKey, kKeyOrSession };
  // The caller's key, or the reply that refuses the call.
  std::expected<ApiKey, http::Response> Check(const http::RequestHead& head, By by);
  // Whether a caller that was let in may stay: for streams that outlive their request's check.
  bool StillValid(const http::RequestHead& head, By by);

  // A session for a key's secret: the value of the cookie header to set. None if the key is not
  // valid.
  Result<std::optional<std::string>> SignIn(std::string_view secret);
  // Ends the request's session, if any; the value of the cookie header that clears it.
  std::string SignOut(const http::RequestHead& head);

 private:
  struct Session {
    std::string secret;  // looked up anew for each call, so that revoking a key ends its sessions
    SteadyTime expires_at;
  };
  Session* FindSession(const http::RequestHead& head);

  const Clock& clock_;
  Random& random_;
  KeyService& keys_;
  std::map<std::string, Session> sessions_;
};

using KeyedHandler = std::function<std::unique_ptr<http::BodySink>(
    const http::Call&, const ApiKey&, std::shared_ptr<http::Responder>)>;
// A handler for callers with a key; others are refused.
http::RouteHandler WithKey(Access& access, Access::By by, KeyedHandler handler);
http::RouteHandler ForOperators(Access& access, KeyedHandler handler);

}  // namespace fallow::api
