// The coordinator's HTTP interface: every path of docs/PROTOCOL.md, as one handler for connections.
//
// Threading: the coordinator's loop.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/http/server.h"

namespace fallow::api {

// A file of the dashboard, as the build embeds it.
struct StaticFile {
  std::string_view path;  // "/assets/index-1a2b3c.js"; "/index.html" is the page
  std::string_view content;
  std::string_view content_type;
};

struct ApiOptions {
  std::string version;                    // the coordinator's
  std::string url;                        // "https://HOST:PORT", as links give it
  std::string authority_pem;              // served at /ca.pem
  std::string pin;                        // of that authority
  std::span<const StaticFile> dashboard;  // empty: a page that says the dashboard was not built
};

class Api {
 public:
  virtual ~Api() = default;
  virtual std::unique_ptr<http::BodySink> Handle(const http::RequestHead& head,
                                                 std::shared_ptr<http::Responder> responder) = 0;
  // Ends what waits: long polls get "no work", event streams end.
  virtual void Stop() = 0;
};

// Everything passed in must outlive it, and it must outlive the connections it serves.
std::unique_ptr<Api> NewApi(Loop& loop, const Clock& clock, Random& random,
                            Coordinator& coordinator, ApiOptions options);

std::string SignInLink(const ApiOptions& options, std::string_view key_secret);
std::string JoinLink(const ApiOptions& options, std::string_view join_token);

}  // namespace fallow::api
