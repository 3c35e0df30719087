// A coordinator whose answers the test gives by hand.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/coordinator_client.h"

namespace fallow {

class FakeCoordinator : public CoordinatorClient {
 public:
  template <class Request, class Reply>
  struct Exchange {
    Request request;
    Answer<Reply> answer;
    bool answered = false;

    // At the test's own level, as an answer comes from a loop's turn.
    void Give(Result<Reply> reply) {
      answered = true;
      const Answer<Reply> call = std::exchange(answer, nullptr);
      if (call) call(std::move(reply));
    }
    void Give(ErrorCode code, std::string message) {
      Give(Result<Reply>(fallow::Fail(code, std::move(message))));
    }
  };
  template <class Request, class Reply>
  using Exchanges = std::deque<std::shared_ptr<Exchange<Request, Reply>>>;

  Exchanges<LeaseRequest, LeaseReply> leases;
  Exchanges<ReportRequest, ReportReply> reports;
  Exchanges<HeartbeatRequest, HeartbeatReply> heartbeats;
  Exchanges<ReleaseRequest, void> releases;

  Call Lease(const LeaseRequest& request, Answer<LeaseReply> answer) override {
    return Add(leases, request, std::move(answer));
  }
  Call Report(const ReportRequest& request, Answer<ReportReply> answer) override {
    return Add(reports, request, std::move(answer));
  }
  Call Heartbeat(const HeartbeatRequest& request, Answer<HeartbeatReply> answer) override {
    return Add(heartbeats, request, std::move(answer));
  }
  Call Release(const ReleaseRequest& request, Answer<void> answer) override {
    return Add(releases, request, std::move(answer));
  }

 private:
  // Cancels with its destruction.
  template <class E>
  struct Handle : HttpExchange {
    explicit Handle(std::shared_ptr<E> made) : exchange(std::move(made)) {}
    ~Handle() override { exchange->answer = nullptr; }
    std::shared_ptr<E> exchange;
  };

  template <class List, class Request, class AnswerFn>
  Call Add(List& list, const Request& request, AnswerFn answer) {
    using E = typename List::value_type::element_type;
    list.push_back(std::make_shared<E>(E{request, std::move(answer)}));
    return std::make_unique<Handle<E>>(list.back());
  }
};

}  // namespace fallow
