// A Router finds the handler of a request by its method and path.
//
// A pattern is a path whose segments are texts or "{}", which takes one whole segment. Routing
// looks at the path as it was sent; only then are captured segments percent-decoded, so an encoded
// slash stays inside its segment.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/http/server.h"

namespace fallow::http {

// "%2F" and the like; none if malformed or if the text would hold a zero byte.
std::optional<std::string> PercentDecode(std::string_view text);

// The parameters of a query string, decoded ("+" is a blank); malformed ones are left out.
std::vector<std::pair<std::string, std::string>> ParseQuery(std::string_view query);

// One request on its way to its handler.
struct Call {
  const RequestHead& head;            // for the call to the handler only
  std::vector<std::string> captures;  // what the pattern's "{}" took, decoded
  std::vector<std::pair<std::string, std::string>> query;

  std::optional<std::string> Query(std::string_view name) const;
};

using RouteHandler =
    std::function<std::unique_ptr<BodySink>(const Call&, std::shared_ptr<Responder>)>;

class Router {
 public:
  // A GET route serves HEAD too. Routes are tried in the order they were added.
  void Add(std::string method, std::string_view pattern, RouteHandler handler);
  // For paths that no pattern matches; without one they get 404.
  void SetFallback(RouteHandler handler) { fallback_ = std::move(handler); }

  std::unique_ptr<BodySink> Handle(const RequestHead& head,
                                   std::shared_ptr<Responder> responder) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    RouteHandler handler;
  };
  std::vector<Route> routes_;
  RouteHandler fallback_;
};

}  // namespace fallow::http
