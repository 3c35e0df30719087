#include "agent/daemon/join.h"

#include <utility>

#include "agent/daemon/enrollment.h"
#include "platform/http_client.h"
#include "platform/keystore.h"
#include "platform/system.h"

namespace fallow {
namespace {

// Runs the loop for one exchange that `start` begins.
template <class Value, class Start>
Result<Value> Await(MainLoop& loop, Start start) {
  Result<Value> result = Fail(ErrorCode::kInternal, "no answer");
  const std::unique_ptr<HttpExchange> exchange = start([&](Result<Value> answer) {
    result = std::move(answer);
    loop.Stop();
  });
  loop.Run();
  return result;
}

}  // namespace

Result<Membership> Join(const JoinLink& link, const StateFolder& folder,
                        const std::string& agent_version) {
  FALLOW_RETURN_IF_ERROR(folder.Make());
  FALLOW_ASSIGN_OR_RETURN(const auto key, LoadOrMakeSigningKey(folder.key_path()));
  const auto loop = NewMainLoop();

  HttpClientOptions options;
  options.user_agent = "fallow-agent/" + agent_version;
  options.trust_anybody = true;
  const auto untrusting = NewHttpClient(*loop, options);
  FALLOW_ASSIGN_OR_RETURN(const std::string authority, Await<std::string>(*loop, [&](auto done) {
                            return FetchAuthority(*untrusting, link.coordinator_url, link.pin,
                                                  std::move(done));
                          }));

  options.trust_anybody = false;
  options.authority_pem = authority;
  const auto http = NewHttpClient(*loop, options);
  const EnrollRequest request{.protocol_version = kAgentProtocolVersion,
                              .join_token = link.token,
                              .public_key = key->public_key(),
                              .profile = {.hostname = HostName(),
                                          .operating_system = OperatingSystemName(),
                                          .agent_version = agent_version,
                                          .backend = BackendKind::kUnknown,
                                          .processor = "",
                                          .driver = "",
                                          .memory_bytes = PhysicalMemoryBytes()}};
  FALLOW_ASSIGN_OR_RETURN(const EnrollReply reply, Await<EnrollReply>(*loop, [&](auto done) {
                            return Enroll(*http, link.coordinator_url, request, std::move(done));
                          }));
  Membership membership{
      .coordinator_url = link.coordinator_url, .device = reply.device, .authority_pem = authority};
  FALLOW_RETURN_IF_ERROR(folder.SaveMembership(membership));
  return membership;
}

}  // namespace fallow
