// An HTTP client whose server is a function of the test.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "platform/http_client.h"

namespace fallow {

// A request in flight or answered. The test may keep it and answer later.
class FakeCall {
 public:
  FakeCall(Loop& loop, HttpRequest request, std::function<void(Result<HttpReply>)> done)
      : loop_(loop), request_(std::move(request)), done_(std::move(done)) {}

  const HttpRequest& request() const { return request_; }
  bool answered() const { return answered_; }
  bool cancelled() const {
    return cancelled_;
  }  // the HttpExchange was destroyed before its answer arrived

  // Each takes effect at the loop's next turn, as a network would have it. A reply's body goes to
  // on_body where the real client would send it there.
  void Answer(Result<HttpReply> reply);
  void Answer(int status, std::string_view body = "");
  void Fail(ErrorCode code, std::string message);
  // A piece of a 2xx reply's body, ahead of its Answer.
  void SendPiece(std::string_view piece);

 private:
  friend class FakeHttpClient;
  friend class FakeHttpExchange;

  void Deliver(Result<HttpReply> reply);

  Loop& loop_;
  HttpRequest request_;
  std::function<void(Result<HttpReply>)> done_;
  std::weak_ptr<FakeCall> self_;
  bool answered_ = false;
  bool cancelled_ = false;
};

class FakeHttpClient : public HttpClient {
 public:
  using Handler = std::function<void(const std::shared_ptr<FakeCall>&)>;

  // `loop` must outlive the client. `handler` sees each request once, at the loop's next turn after
  // Send; it answers, or keeps the call for later. Without one, requests wait in calls().
  explicit FakeHttpClient(Loop& loop, Handler handler = nullptr)
      : loop_(loop), handler_(std::make_shared<Handler>(std::move(handler))) {}

  std::unique_ptr<HttpExchange> Send(HttpRequest request,
                                     std::function<void(Result<HttpReply>)> done) override;

  void SetHandler(Handler handler) { *handler_ = std::move(handler); }
  // Every request so far, oldest first.
  const std::deque<std::shared_ptr<FakeCall>>& calls() const { return calls_; }
  FakeCall& last() { return *calls_.back(); }

 private:
  Loop& loop_;
  std::shared_ptr<Handler> handler_;  // shared with posted calls, which may outlive the client
  std::deque<std::shared_ptr<FakeCall>> calls_;
};

}  // namespace fallow
