// What the groups of routes share. Threading: the coordinator's loop.
#pragma once

#include <optional>
#include <string>

#include "coordinator/api/access.h"
#include "coordinator/api/api.h"
#include "coordinator/api/live_feed.h"
#include "coordinator/api/views.h"
#include "coordinator/http/error_response.h"
#include "coordinator/http/router.h"

namespace fallow::api {

struct Context {
  Loop& loop;
  const Clock& clock;
  Random& random;
  Coordinator& coordinator;
  Access& access;
  LiveFeed& feed;
  const ApiOptions& options;
};

class LeasePolls;

void AddFileRoutes(http::Router& router, Context& context);
void AddBatchRoutes(http::Router& router, Context& context);
void AddModelRoutes(http::Router& router, Context& context);
void AddAgentRoutes(http::Router& router, Context& context, LeasePolls& polls);
void AddSessionRoutes(http::Router& router, Context& context);
void AddAdminRoutes(http::Router& router, Context& context);
void AddStaticRoutes(http::Router& router, Context& context);

// Bodies of calls that are JSON.
inline constexpr std::size_t kMaxJsonBodyBytes = 1 << 20;
using JsonHandler = std::function<void(const Json& body)>;
// Collects a body and parses it as a JSON object; answers 400 or 413 by itself.
std::unique_ptr<http::BodySink> CollectJson(std::shared_ptr<http::Responder> responder,
                                            JsonHandler handler);

// Answers 400 about a field of the body or query.
void RefuseField(http::Responder& responder, std::string_view field, std::string message,
                 std::string code = "");

// `limit` and `after` of a list call; answers 400 and gives none if they are malformed.
std::optional<PageRequest> ReadPage(const http::Call& call, std::size_t default_limit,
                                    std::size_t max_limit, http::Responder& responder);

// Sends a result as JSON, or its error.
template <class T, class View>
void SendResult(http::Responder& responder, const Result<T>& result, View&& view) {
  if (result.has_value()) {
    responder.Send(JsonResponse(200, view(*result)));
  } else {
    responder.Send(http::ErrorResponse(result.error()));
  }
}

// OpenAI's list of one page.
template <class T, class View>
Json ListJson(const Page<T>& page, View&& view) {
  Json data = Json::array();
  for (const T& item : page.items) data.push_back(view(item));
  const Json first = data.empty() ? Json(nullptr) : data.front()["id"];
  const Json last = data.empty() ? Json(nullptr) : data.back()["id"];
  return {{"object", "list"},
          {"data", std::move(data)},
          {"first_id", first},
          {"last_id", last},
          {"has_more", page.has_more}};
}

}  // namespace fallow::api
