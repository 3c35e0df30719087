#include "agent/daemon/enrollment.h"

#include <fmt/format.h>

#include <utility>

#include "agent/daemon/request_signer.h"
#include "platform/tls.h"

namespace fallow {
namespace {

constexpr std::chrono::milliseconds kAnswerTimeout{30'000};
constexpr std::size_t kMaxCertificateBytes = 64 << 10;
constexpr std::size_t kMaxEnrollReplyBytes = 64 << 10;

Result<std::string> CheckAuthority(const Result<HttpReply>& reply, const std::string& url,
                                   const Digest& pin) {
  if (!reply) return Wrap(reply.error(), url);
  if (!IsSuccess(*reply)) {
    return Fail(
        ErrorCode::kUnavailable,
        fmt::format("{} answered HTTP {}: is this a Fallow coordinator?", url, reply->status));
  }
  std::string pem(AsText(reply->body));
  const auto found = CertificatePin(pem);
  if (!found) return Wrap(found.error(), url);
  if (*found != pin) {
    return Fail(
        ErrorCode::kPermissionDenied,
        fmt::format(
            "the certificate at {} is not the one this join link was made for (pin {}, found {}): "
            "somebody may be in between, or the coordinator was set up anew; ask for a new link",
            url, pin.Hex(), found->Hex()));
  }
  return pem;
}

Result<EnrollReply> ReadEnrollReply(const Result<HttpReply>& reply) {
  if (!reply) return std::unexpected(reply.error());
  if (!IsSuccess(*reply)) return std::unexpected(ErrorOfReply(*reply));
  return DecodeEnrollReply(reply->body);
}

}  // namespace

std::unique_ptr<HttpExchange> FetchAuthority(HttpClient& untrusting,
                                             const std::string& coordinator_url, const Digest& pin,
                                             std::function<void(Result<std::string> pem)> done) {
  HttpRequest request;
  request.url = coordinator_url + "/ca.pem";
  request.timeout = kAnswerTimeout;
  request.max_body_bytes = kMaxCertificateBytes;
  const std::string url = request.url;
  return untrusting.Send(std::move(request),
                         [url, pin, done = std::move(done)](Result<HttpReply> reply) {
                           done(CheckAuthority(reply, url, pin));
                         });
}

std::unique_ptr<HttpExchange> Enroll(HttpClient& http, const std::string& coordinator_url,
                                     const EnrollRequest& enroll,
                                     std::function<void(Result<EnrollReply>)> done) {
  HttpRequest request;
  request.method = "POST";
  request.url = coordinator_url + "/agent/v1/enroll";
  request.headers = {{"Content-Type", "application/x-protobuf"}};
  request.body = Encode(enroll);
  request.timeout = kAnswerTimeout;
  request.max_body_bytes = kMaxEnrollReplyBytes;
  return http.Send(std::move(request), [done = std::move(done)](Result<HttpReply> reply) {
    done(ReadEnrollReply(reply));
  });
}

}  // namespace fallow
