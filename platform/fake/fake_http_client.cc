#include "platform/fake/fake_http_client.h"

#include <utility>

namespace fallow {

class FakeHttpExchange : public HttpExchange {
 public:
  explicit FakeHttpExchange(std::shared_ptr<FakeCall> call) : call_(std::move(call)) {}
  ~FakeHttpExchange() override {
    if (call_->done_ != nullptr) call_->cancelled_ = true;
  }
  FakeHttpExchange(const FakeHttpExchange&) = delete;
  FakeHttpExchange& operator=(const FakeHttpExchange&) = delete;

 private:
  std::shared_ptr<FakeCall> call_;
};

void FakeCall::Answer(Result<HttpReply> reply) {
  if (std::exchange(answered_, true)) return;
  loop_.Post([self = self_.lock(), reply = std::move(reply)] { self->Deliver(reply); });
}

void FakeCall::Answer(int status, std::string_view body) {
  const ByteView bytes = AsBytes(body);
  Answer(HttpReply{.status = status, .headers = {}, .body = Bytes(bytes.begin(), bytes.end())});
}

void FakeCall::Fail(ErrorCode code, std::string message) {
  Answer(fallow::Fail(code, std::move(message)));
}

void FakeCall::SendPiece(std::string_view piece) {
  loop_.Post([self = self_.lock(), text = std::string(piece)] {
    if (self->cancelled_ || self->done_ == nullptr || !self->request_.on_body) return;
    if (!self->request_.on_body(AsBytes(text))) {
      self->Deliver(fallow::Fail(ErrorCode::kCancelled, "the receiver ended the exchange"));
    }
  });
}

void FakeCall::Deliver(Result<HttpReply> reply) {
  if (cancelled_ || done_ == nullptr) return;
  const bool streamed = reply && reply->status / 100 == 2 && request_.on_body != nullptr;
  if (streamed && !reply->body.empty()) {
    const Bytes body = std::exchange(reply->body, {});
    if (!request_.on_body(body)) {
      reply = fallow::Fail(ErrorCode::kCancelled, "the receiver ended the exchange");
    }
    if (cancelled_) return;
  }
  const auto done = std::exchange(done_, nullptr);
  done(std::move(reply));
}

std::unique_ptr<HttpExchange> FakeHttpClient::Send(HttpRequest request,
                                                   std::function<void(Result<HttpReply>)> done) {
  auto call = std::make_shared<FakeCall>(loop_, std::move(request), std::move(done));
  call->self_ = call;
  calls_.push_back(call);
  loop_.Post([call, handler = handler_] {
    if (*handler && !call->cancelled()) (*handler)(call);
  });
  return std::make_unique<FakeHttpExchange>(call);
}

}  // namespace fallow
