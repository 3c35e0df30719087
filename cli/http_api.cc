#include "cli/http_api.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "platform/tls.h"

namespace fallow::cli {

namespace {

using namespace std::chrono_literals;

// A file's upload or download takes as long as it takes, while bytes move.
constexpr auto kUnlimited = 0ms;
// The coordinator reads and checks a whole model before it answers.
constexpr auto kModelCheck = 10min;

Result<HttpReply> RunUntilReply(MainLoop& loop, HttpClient& client, HttpRequest request,
                                const bool& interrupted) {
  std::optional<Result<HttpReply>> outcome;
  const auto exchange = client.Send(std::move(request), [&](Result<HttpReply> reply) {
    outcome = std::move(reply);
    loop.Stop();
  });
  while (!outcome.has_value() && !interrupted) loop.Run();
  if (!outcome.has_value()) return Fail(ErrorCode::kCancelled, "interrupted");
  return *std::move(outcome);
}

bool IsSuccess(int status) {
  return status >= 200 && status < 300;
}

}  // namespace

HttpApi::HttpApi(MainLoop& loop, const Access& access)
    : loop_(loop),
      url_(access.url),
      authorization_("Bearer " + access.key),
      client_(NewHttpClient(loop, {.authority_pem = access.authority_pem})) {}

void HttpApi::CatchInterrupts() {
  loop_.OnTerminate([this] {
    interrupted_ = true;
    loop_.Stop();
  });
}

HttpRequest HttpApi::NewRequest(const std::string& method, const std::string& path) const {
  return {.method = method, .url = url_ + path, .headers = {{"Authorization", authorization_}}};
}

Result<HttpReply> HttpApi::Exchange(HttpRequest request) {
  if (interrupted_) return Fail(ErrorCode::kCancelled, "interrupted");
  return RunUntilReply(loop_, *client_, std::move(request), interrupted_);
}

Result<Json> HttpApi::Call(ApiCall call) {
  HttpRequest request = NewRequest(call.method, call.path);
  if (call.body.has_value()) {
    const std::string text = call.body->dump(-1, ' ', false, Json::error_handler_t::replace);
    request.headers.emplace_back("Content-Type", "application/json");
    request.body.assign(text.begin(), text.end());
  }
  if (call.body_file.has_value() || !call.body_pieces.empty()) {
    if (call.form.empty()) request.headers.emplace_back("Content-Type", "application/octet-stream");
    request.body_file = std::move(call.body_file);
    request.body_pieces = std::move(call.body_pieces);
    request.multipart_fields = std::move(call.form);
    request.on_upload_progress = std::move(call.on_upload);
    request.timeout = kUnlimited;
    request.stall_timeout = kModelCheck;
  }
  FALLOW_ASSIGN_OR_RETURN(const HttpReply reply, Exchange(std::move(request)));
  const std::string_view body = AsText(reply.body);
  if (!IsSuccess(reply.status)) return std::unexpected(ErrorOfReply(reply.status, body));
  if (body.empty()) return Json();
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("{}{}: the reply is not JSON; is this a Fallow coordinator?", url_, call.path));
  }
  return json;
}

Result<std::uint64_t> HttpApi::Download(const std::string& path, const std::string& destination) {
  const std::string part = destination + ".part";
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  if (!file)
    return Fail(ErrorCode::kInternal,
                fmt::format("{}: cannot be written: {}", part, std::strerror(errno)));
  std::uint64_t size = 0;
  HttpRequest request = NewRequest("GET", path);
  request.timeout = kUnlimited;
  request.on_body = [&](ByteView bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    size += bytes.size();
    return file.good();
  };
  auto reply = Exchange(std::move(request));
  file.close();

  Status status;
  if (!file) {
    status = Fail(ErrorCode::kResourceExhausted,
                  fmt::format("{}: cannot be written; is the disk full?", destination));
  } else if (!reply.has_value()) {
    status = std::unexpected(std::move(reply).error());
  } else if (!IsSuccess(reply->status)) {
    status = std::unexpected(ErrorOfReply(reply->status, AsText(reply->body)));
  }
  std::error_code error;
  if (status.has_value()) {
    std::filesystem::rename(part, destination, error);
    if (error)
      status = Fail(ErrorCode::kInternal, fmt::format("{}: {}", destination, error.message()));
  }
  if (!status.has_value()) {
    std::filesystem::remove(part, error);
    return std::unexpected(std::move(status).error());
  }
  return size;
}

Status HttpApi::Pause(std::chrono::milliseconds duration) {
  bool over = false;
  const auto timer = loop_.After(duration, [&] {
    over = true;
    loop_.Stop();
  });
  while (!over && !interrupted_) loop_.Run();
  if (!over) return Fail(ErrorCode::kCancelled, "interrupted");
  return {};
}

Result<std::string> FetchPinnedAuthority(MainLoop& loop, const std::string& url,
                                         const Digest& pin) {
  const auto client = NewHttpClient(loop, {.trust_anybody = true});
  HttpRequest request{.url = url + "/ca.pem"};
  constexpr std::size_t kMaxAuthorityBytes = 64 << 10;  // one certificate has about 700 bytes
  request.max_body_bytes = kMaxAuthorityBytes;
  FALLOW_ASSIGN_OR_RETURN(const HttpReply reply,
                          RunUntilReply(loop, *client, std::move(request), false));
  if (reply.status != 200) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("{}/ca.pem: HTTP status {}; is this a Fallow coordinator?", url, reply.status));
  }
  std::string pem(AsText(reply.body));
  const auto found = CertificatePin(pem);
  if (!found.has_value()) return Wrap(found.error(), url + "/ca.pem");
  if (*found != pin) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: its authority's pin is {}, the link says {}: somebody else "
                            "answers there, or the link "
                            "is from before the coordinator was set up anew",
                            url, found->Hex(), pin.Hex()));
  }
  return pem;
}

}  // namespace fallow::cli
