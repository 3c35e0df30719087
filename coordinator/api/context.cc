#include "coordinator/api/context.h"

#include <fmt/format.h>

#include <charconv>

namespace fallow::api {

std::unique_ptr<http::BodySink> CollectJson(std::shared_ptr<http::Responder> responder,
                                            JsonHandler handler) {
  auto respond = responder;
  return http::CollectBody(
      kMaxJsonBodyBytes, std::move(responder),
      [responder = std::move(respond), handler = std::move(handler)](const std::string& text) {
        const Json body = Json::parse(text, nullptr, /*allow_exceptions=*/false);
        if (!body.is_object()) {
          responder->Send(http::ErrorResponse({.status = 400,
                                               .message = "The body must be a JSON object.",
                                               .code = "invalid_json"}));
          return;
        }
        handler(body);
      });
}

void RefuseField(http::Responder& responder, std::string_view field, std::string message,
                 std::string code) {
  responder.Send(http::ErrorResponse({.status = 400,
                                      .message = std::move(message),
                                      .param = std::string(field),
                                      .code = code.empty() ? "invalid_value" : std::move(code)}));
}

std::optional<PageRequest> ReadPage(const http::Call& call, std::size_t default_limit,
                                    std::size_t max_limit, http::Responder& responder) {
  PageRequest page{.limit = default_limit, .after = call.Query("after")};
  if (const auto limit = call.Query("limit")) {
    const auto [end, error] =
        std::from_chars(limit->data(), limit->data() + limit->size(), page.limit);
    if (error != std::errc() || end != limit->data() + limit->size() || page.limit < 1 ||
        page.limit > max_limit) {
      RefuseField(responder, "limit",
                  fmt::format("limit must be a number from 1 to {}.", max_limit));
      return std::nullopt;
    }
  }
  return page;
}

}  // namespace fallow::api
