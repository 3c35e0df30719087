// The coordinator over HTTPS: each call runs the loop until its answer is there.
#pragma once

#include <memory>
#include <string>

#include "base/digest.h"
#include "cli/access.h"
#include "cli/api.h"
#include "platform/http_client.h"
#include "platform/system.h"

namespace fallow::cli {

// Threading: the loop's thread, outside of the loop.
class HttpApi : public Api {
 public:
  // `loop` must outlive the object.
  HttpApi(MainLoop& loop, const Access& access);

  // From now on Ctrl-C makes the running call and every later one fail with kCancelled, instead of
  // ending the process.
  void CatchInterrupts();

  Result<Json> Call(ApiCall call) override;
  Result<std::uint64_t> Download(const std::string& path, const std::string& destination) override;
  Status Pause(std::chrono::milliseconds duration) override;

 private:
  HttpRequest NewRequest(const std::string& method, const std::string& path) const;
  // The reply of any status.
  Result<HttpReply> Exchange(HttpRequest request);

  MainLoop& loop_;
  std::string url_, authorization_;
  std::unique_ptr<HttpClient> client_;
  bool interrupted_ = false;
};

// Fetches the authority of the coordinator at `url` and returns its PEM text if its pin is `pin`;
// kPermissionDenied if it is another: then somebody else answers there, or the link is old.
Result<std::string> FetchPinnedAuthority(MainLoop& loop, const std::string& url, const Digest& pin);

}  // namespace fallow::cli
