// The agent's calls to its coordinator, one try each; retrying is the caller's, who knows what
// still makes sense.
//
// Errors: IsTransient (request_signer.h) tells whether the coordinator could not be reached or did
// not answer, as opposed to having refused. Threading: the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "agent/daemon/request_signer.h"
#include "base/result.h"
#include "platform/http_client.h"
#include "protocol/agent_messages.h"

namespace fallow {

class CoordinatorClient {
 public:
  template <class Reply>
  using Answer = std::function<void(Result<Reply>)>;
  // Destroying it cancels: the answer will not be given.
  using Call = std::unique_ptr<HttpExchange>;

  virtual ~CoordinatorClient() = default;
  [[nodiscard]] virtual Call Lease(const LeaseRequest& request, Answer<LeaseReply> answer) = 0;
  [[nodiscard]] virtual Call Report(const ReportRequest& request, Answer<ReportReply> answer) = 0;
  [[nodiscard]] virtual Call Heartbeat(const HeartbeatRequest& request,
                                       Answer<HeartbeatReply> answer) = 0;
  [[nodiscard]] virtual Call Release(const ReleaseRequest& request, Answer<void> answer) = 0;
};

// Both must outlive the client.
std::unique_ptr<CoordinatorClient> NewCoordinatorClient(HttpClient& http,
                                                        const RequestSigner& signer);

}  // namespace fallow
