// An HTTP client that keeps to the owner's bandwidth.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
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

  // For exchanges from now on. Each keeps to them by itself: downloads come one at a time. It has
  // as much longer as they may make it take.
  void SetRates(Rates rates) { rates_ = rates; }

  std::unique_ptr<HttpExchange> Send(HttpRequest request,
                                     std::function<void(Result<HttpReply>)> done) override {
    request.max_receive_bytes_s = rates_.receive_bytes_s;
    request.max_send_bytes_s = rates_.send_bytes_s;
    if (request.timeout.count() > 0) {
      request.timeout += TimeFor(request.body.size(), rates_.send_bytes_s) +
                         TimeFor(request.max_body_bytes, rates_.receive_bytes_s);
    }
    if (request.stall_timeout.count() > 0) {
      request.stall_timeout += TimeFor(kMaxPieceBytes, rates_.send_bytes_s) +
                               TimeFor(kMaxPieceBytes, rates_.receive_bytes_s);
    }
    return client_->Send(std::move(request), std::move(done));
  }

 private:
  // What may go at once; then nothing does until its time has passed.
  static constexpr std::size_t kMaxPieceBytes = 256 << 10;

  static std::chrono::seconds TimeFor(std::size_t bytes, std::uint64_t bytes_s) {
    return std::chrono::seconds(bytes_s == 0 ? 0 : bytes / bytes_s + 1);
  }

  std::unique_ptr<HttpClient> client_;
  Rates rates_;
};

}  // namespace fallow
