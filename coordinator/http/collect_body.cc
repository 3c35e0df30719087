#include <fmt/format.h>

#include <utility>

#include "coordinator/http/error_response.h"
#include "coordinator/http/server.h"

namespace fallow::http {
namespace {

class CollectingSink final : public BodySink {
 public:
  CollectingSink(std::size_t max_bytes, std::shared_ptr<Responder> responder,
                 std::function<void(std::string)> fn)
      : max_bytes_(max_bytes), responder_(std::move(responder)), fn_(std::move(fn)) {}

  void OnData(ByteView bytes) override {
    if (responder_ == nullptr) return;
    if (body_.size() + bytes.size() > max_bytes_) {
      body_.clear();
      std::exchange(responder_, nullptr)
          ->Send(ErrorResponse({.status = 413,
                                .message = fmt::format(
                                    "The body of this call is limited to {} bytes.", max_bytes_)}));
      return;
    }
    body_.append(AsText(bytes));
  }
  void OnEnd() override {
    if (std::exchange(responder_, nullptr) != nullptr) fn_(std::move(body_));
  }

 private:
  const std::size_t max_bytes_;
  std::shared_ptr<Responder> responder_;  // only to refuse; `fn` has its own
  const std::function<void(std::string)> fn_;
  std::string body_;
};

}  // namespace

std::unique_ptr<BodySink> CollectBody(std::size_t max_bytes, std::shared_ptr<Responder> responder,
                                      std::function<void(std::string body)> fn) {
  return std::make_unique<CollectingSink>(max_bytes, std::move(responder), std::move(fn));
}

}  // namespace fallow::http
