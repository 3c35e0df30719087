// An HTTP client that keeps to the owner's bandwidth.
//
// Threading: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "platform/http_client.h"

namespace fallow {

class PacedHttpClient : public HttpClient {
 public:
  struct Rates {
    std::uint64_t receive_bytes_s = 0;  // 0: no limit
    std::uint64_t send_bytes_s = 0;
  };

  explicit PacedHttpClient(std::unique_ptr<HttpClient> client) : client_(std::move(client)) {}

  // For exchanges from now on. Each keeps to them by itself: downloads come one at a time.
  void SetRates(Rates rates) { rates_ = rates; }

  std::unique_ptr<HttpExchange> Send(HttpRequest request,
                                     std::function<void(Result<HttpReply>)> done) override {
    request.max_receive_bytes_s = rates_.receive_bytes_s;
    request.max_send_bytes_s = rates_.send_bytes_s;
    return client_->Send(std::move(request), std::move(done));
  }

 private:
  std::unique_ptr<HttpClient> client_;
  Rates rates_;
};

}  // namespace fallow
