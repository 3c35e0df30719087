#include "agent/daemon/coordinator_client.h"

#include <utility>

#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// A report waits for the coordinator's disk, a lease for work besides.
constexpr milliseconds kAnswerTimeout{30'000};
// … and a large one gets the time that a slow uplink needs.
constexpr std::size_t kSlowUplinkBytesPerSecond = 32 << 10;

// What an owner can do about a refusal.
Error WithWayOut(Error error) {
  if (error.code == ErrorCode::kUnauthenticated)
    error.message += "; run `fallow-agent join LINK` to join anew";
  if (error.code == ErrorCode::kUnimplemented) error.message += "; install a newer version";
  return error;
}

template <class Reply>
Result<Reply> ReadReply(const Result<HttpReply>& reply, Result<Reply> (*decode)(ByteView)) {
  if (!reply) return std::unexpected(reply.error());
  if (!IsSuccess(*reply)) return std::unexpected(WithWayOut(ErrorOfReply(*reply)));
  return decode(reply->body);
}

class HttpCoordinatorClient : public CoordinatorClient {
 public:
  HttpCoordinatorClient(HttpClient& http, const RequestSigner& signer)
      : http_(http), signer_(signer) {}

  Call Lease(const LeaseRequest& request, Answer<LeaseReply> answer) override {
    return Send<LeaseReply>("/agent/v1/lease", Encode(request), kAnswerTimeout + request.wait,
                            &DecodeLeaseReply, std::move(answer));
  }
  Call Report(const ReportRequest& request, Answer<ReportReply> answer) override {
    Bytes body = Encode(request);
    const std::chrono::seconds upload_time(body.size() / kSlowUplinkBytesPerSecond);
    return Send<ReportReply>("/agent/v1/report", std::move(body), kAnswerTimeout + upload_time,
                             &DecodeReportReply, std::move(answer));
  }
  Call Heartbeat(const HeartbeatRequest& request, Answer<HeartbeatReply> answer) override {
    return Send<HeartbeatReply>("/agent/v1/heartbeat", Encode(request), kAnswerTimeout,
                                &DecodeHeartbeatReply, std::move(answer));
  }
  Call Release(const ReleaseRequest& request, Answer<void> answer) override {
    return Send<void>(
        "/agent/v1/release", Encode(request), kAnswerTimeout,
        [](ByteView) { return Result<void>(); }, std::move(answer));
  }

 private:
  template <class Reply>
  Call Send(std::string_view path, Bytes body, milliseconds timeout,
            Result<Reply> (*decode)(ByteView), Answer<Reply> answer) {
    HttpRequest request = signer_.Post(path, std::move(body));
    request.timeout = timeout;
    request.stall_timeout = timeout;
    request.max_body_bytes = kMaxAgentBodyBytes;
    return http_.Send(std::move(request),
                      [decode, answer = std::move(answer)](Result<HttpReply> reply) {
                        answer(ReadReply(reply, decode));
                      });
  }

  HttpClient& http_;
  const RequestSigner& signer_;
};

}  // namespace

std::unique_ptr<CoordinatorClient> NewCoordinatorClient(HttpClient& http,
                                                        const RequestSigner& signer) {
  return std::make_unique<HttpCoordinatorClient>(http, signer);
}

}  // namespace fallow
