// Joining a coordinator: its authority certificate, checked against the link's pin, then the
// device's enrolment.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/digest.h"
#include "base/result.h"
#include "platform/http_client.h"
#include "protocol/agent_messages.h"

namespace fallow {

// Fetches the authority certificate from `coordinator_url` and compares it with `pin`:
// kPermissionDenied on a difference. `untrusting` is a client that trusts anybody.
[[nodiscard]] std::unique_ptr<HttpExchange> FetchAuthority(
    HttpClient& untrusting, const std::string& coordinator_url, const Digest& pin,
    std::function<void(Result<std::string> pem)> done);
// Sends the join token; kUnauthenticated if it is not the coordinator's. `http` trusts that
// authority alone.
[[nodiscard]] std::unique_ptr<HttpExchange> Enroll(HttpClient& http,
                                                   const std::string& coordinator_url,
                                                   const EnrollRequest& enroll,
                                                   std::function<void(Result<EnrollReply>)> done);

}  // namespace fallow
