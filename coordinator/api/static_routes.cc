// The dashboard's files, the authority certificate and the health check.

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "coordinator/api/context.h"

namespace fallow::api {
namespace {

constexpr std::string_view kPolicy =
    "default-src 'self'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action "
    "'self'; object-src 'none'";
// Vite names assets by their content, so they never change; everything else is asked for anew.
constexpr std::string_view kForever = "public, max-age=31536000, immutable";
constexpr std::string_view kAskAgain = "no-cache";

constexpr std::string_view kNotBuilt =
    "<!doctype html><html lang=en><meta charset=utf-8><title>Fallow</title>"
    "<h1>Fallow</h1><p>This coordinator was built without its dashboard. Its API works; "
    "build with npm present (<code>./dev build</code>) to have the page too.</p></html>";

std::string Etag(std::string_view content) {
  return fmt::format("\"{}\"", Sha256::Of(content).Hex().substr(0, 32));
}

http::Response FileResponse(const http::RequestHead& head, const StaticFile& file) {
  const std::string etag = Etag(file.content);
  http::Response response{
      .status = 200,
      .headers = {{"content-type", std::string(file.content_type)},
                  {"etag", etag},
                  {"cache-control",
                   std::string(file.path.starts_with("/assets/") ? kForever : kAskAgain)},
                  {"content-security-policy", std::string(kPolicy)},
                  {"x-content-type-options", "nosniff"},
                  {"referrer-policy", "no-referrer"},
                  {"cross-origin-opener-policy", "same-origin"}},
      .body = {}};
  if (head.Header("if-none-match") == etag) {
    response.status = 304;
  } else {
    response.body = std::string(file.content);
  }
  return response;
}

// A file of the dashboard, or its page for the addresses that the page itself makes sense of.
void ServeDashboard(const ApiOptions& options, const http::RequestHead& head,
                    http::Responder& responder) {
  const bool reads = head.method == "GET" || head.method == "HEAD";
  const bool is_api = head.path.starts_with("/v1/") || head.path.starts_with("/api/") ||
                      head.path.starts_with("/agent/") || head.path.starts_with("/assets/");
  const auto find = [&](std::string_view path) {
    return std::ranges::find(options.dashboard, path, &StaticFile::path);
  };
  auto file = reads ? find(head.path) : options.dashboard.end();
  if (file == options.dashboard.end() && reads && !is_api) {
    file = find("/index.html");
    if (file == options.dashboard.end()) {
      responder.Send(FileResponse(head, {"/", kNotBuilt, "text/html; charset=utf-8"}));
      return;
    }
  }
  if (file == options.dashboard.end()) {
    responder.Send(
        http::ErrorResponse({.status = 404,
                             .message = fmt::format("There is no {} {}.", head.method, head.path),
                             .code = "unknown_url"}));
    return;
  }
  responder.Send(FileResponse(head, *file));
}

}  // namespace

void AddStaticRoutes(http::Router& router, Context& context) {
  router.Add("GET", "/healthz", [](const http::Call&, std::shared_ptr<http::Responder> responder) {
    responder->Send(JsonResponse(200, {{"status", "ok"}}));
    return nullptr;
  });
  router.Add("GET", "/ca.pem",
             [&context](const http::Call&, std::shared_ptr<http::Responder> responder) {
               responder->Send({.status = 200,
                                .headers = {{"content-type", "application/x-pem-file"}},
                                .body = context.options.authority_pem});
               return nullptr;
             });
  router.SetFallback(
      [&context](const http::Call& call, std::shared_ptr<http::Responder> responder) {
        ServeDashboard(context.options, call.head, *responder);
        return nullptr;
      });
}

}  // namespace fallow::api
