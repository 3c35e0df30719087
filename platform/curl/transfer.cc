#include "platform/curl/transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>
#include <utility>

namespace fallow {
namespace {

constexpr long kConnectTimeoutMs = 10'000;
constexpr std::size_t kMaxHeaderBytes = 256 << 10;
constexpr long kReceiveBufferBytes = 128 << 10;
constexpr long kSendBufferBytes = 256 << 10;

using Url = std::unique_ptr<CURLU, decltype([](CURLU* url) { curl_url_cleanup(url); })>;

std::string UrlPart(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") ||
         host == "[::1]";
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool HoldsLineBreak(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

}  // namespace

Status Transfer::SetUp(const HttpClientOptions& options) {
  easy_.reset(curl_easy_init());
  if (easy_ == nullptr) return fallow::Fail(ErrorCode::kInternal, "cannot set up an HTTP exchange");
  FALLOW_RETURN_IF_ERROR(SetTarget());
  FALLOW_RETURN_IF_ERROR(SetTrust(options));
  FALLOW_RETURN_IF_ERROR(SetBody());
  FALLOW_RETURN_IF_ERROR(SetHeaders(options));
  SetCallbacks();

  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kSendBufferBytes);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_MAX_RECV_SPEED_LARGE,
                   static_cast<curl_off_t>(request_.max_receive_bytes_s));
  curl_easy_setopt(easy, CURLOPT_MAX_SEND_SPEED_LARGE,
                   static_cast<curl_off_t>(request_.max_send_bytes_s));
  return {};
}

Status Transfer::SetTarget() {
  const Url url(curl_url());
  if (url == nullptr ||
      curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0) != CURLUE_OK) {
    return fallow::Fail(ErrorCode::kInvalidArgument,
                        fmt::format("'{}' is not a URL", request_.url));
  }
  const std::string host = UrlPart(url.get(), CURLUPART_HOST, 0);
  target_ = host + ":" + UrlPart(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);

  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // Otherwise the environment's proxy variables count, as everywhere.
  if (IsLoopback(LowerCase(host))) curl_easy_setopt(easy, CURLOPT_PROXY, "");
  return {};
}

Status Transfer::SetTrust(const HttpClientOptions& options) {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (options.trust_anybody) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!options.authority_pem) return {};
  authority_pem_ = options.authority_pem;
  curl_blob blob{
      .data = authority_pem_->data(), .len = authority_pem_->size(), .flags = CURL_BLOB_NOCOPY};
  // The system's folder of authorities would be trusted besides.
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3);
  if (curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) != CURLE_OK) {
    return fallow::Fail(ErrorCode::kUnimplemented, "this libcurl cannot trust a given authority");
  }
  return {};
}

Status Transfer::SetHeaders(const HttpClientOptions& options) {
  bool has_content_type = false;
  const auto add = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(header_lines_.get(), line.c_str());
    if (longer == nullptr) return false;
    (void)header_lines_.release();
    header_lines_.reset(longer);
    return true;
  };
  for (const auto& [name, value] : request_.headers) {
    if (name.empty() || name.find(':') != std::string::npos || HoldsLineBreak(name) ||
        HoldsLineBreak(value)) {
      return fallow::Fail(ErrorCode::kInvalidArgument,
                          fmt::format("the header '{}' holds what a header cannot", name));
    }
    has_content_type |= LowerCase(name) == "content-type";
    // A name with a semicolon is curl's way to say an empty value.
    if (!add(value.empty() ? name + ";" : name + ": " + value)) {
      return fallow::Fail(ErrorCode::kResourceExhausted, "no memory for the headers");
    }
  }
  // curl would wait a second for servers that do not know this handshake.
  add("Expect:");
  // curl would call any body a form.
  if (!has_content_type && request_.multipart_fields.empty()) add("Content-Type:");
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, header_lines_.get());
  curl_easy_setopt(easy_.get(), CURLOPT_USERAGENT, options.user_agent.c_str());
  return {};
}

Status Transfer::SetBody() {
  CURL* easy = easy_.get();
  if (HoldsLineBreak(request_.method) || request_.method.empty()) {
    return fallow::Fail(ErrorCode::kInvalidArgument, "the request has no proper method");
  }
  if (!request_.multipart_fields.empty()) {
    FALLOW_RETURN_IF_ERROR(SetMultipartBody());
  } else if (request_.body_file) {
    FALLOW_RETURN_IF_ERROR(SetFileBody());
  } else if (!request_.body_pieces.empty()) {
    SetPiecesBody();
  } else if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || (request_.method != "GET" && request_.method != "DELETE")) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     request_.body.empty() ? "" : reinterpret_cast<char*>(request_.body.data()));
  }
  if (request_.method != "HEAD") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  return {};
}

Status Transfer::SetFileBody() {
  const std::string& path = *request_.body_file;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error) file_.reset(std::fopen(path.c_str(), "rb"));
  if (file_ == nullptr) {
    return fallow::Fail(
        error == std::errc::no_such_file_or_directory ? ErrorCode::kNotFound
                                                      : ErrorCode::kPermissionDenied,
        fmt::format("cannot read {}: {}", path, error ? error.message() : "it does not open"));
  }
  SetUpload(size);
  return {};
}

void Transfer::SetPiecesBody() {
  pieces_ = PieceReader(request_.body_pieces);
  SetUpload(pieces_.size_bytes());
}

void Transfer::SetUpload(std::uint64_t size) {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
  curl_easy_setopt(easy, CURLOPT_READDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_READFUNCTION,
      +[](char* into, std::size_t size_of_one, std::size_t count, void* self) {
        return static_cast<Transfer*>(self)->OnRead(into, size_of_one * count);
      });
  // A kept connection may turn out dead after the first bytes: curl starts over on a new one.
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_SEEKFUNCTION, +[](void* self, curl_off_t offset, int origin) {
        const bool found = origin == SEEK_SET && offset >= 0 &&
                           static_cast<Transfer*>(self)->OnSeek(static_cast<std::uint64_t>(offset));
        return found ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
      });
}

Status Transfer::SetMultipartBody() {
  parts_.reset(curl_mime_init(easy_.get()));
  bool complete = parts_ != nullptr;
  for (const auto& [name, value] : request_.multipart_fields) {
    curl_mimepart* part = complete ? curl_mime_addpart(parts_.get()) : nullptr;
    complete = part != nullptr && curl_mime_name(part, name.c_str()) == CURLE_OK &&
               curl_mime_data(part, value.data(), value.size()) == CURLE_OK;
  }
  if (complete && request_.body_file) {
    curl_mimepart* part = curl_mime_addpart(parts_.get());
    complete = part != nullptr && curl_mime_name(part, "file") == CURLE_OK;
    if (complete && curl_mime_filedata(part, request_.body_file->c_str()) != CURLE_OK) {
      return fallow::Fail(std::filesystem::exists(*request_.body_file)
                              ? ErrorCode::kPermissionDenied
                              : ErrorCode::kNotFound,
                          "cannot read " + *request_.body_file);
    }
  }
  if (!complete) return fallow::Fail(ErrorCode::kResourceExhausted, "no memory for a form");
  curl_easy_setopt(easy_.get(), CURLOPT_MIMEPOST, parts_.get());
  return {};
}

void Transfer::SetCallbacks() {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_message_);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_HEADERFUNCTION,
      +[](char* text, std::size_t one, std::size_t count, void* self) {
        return static_cast<Transfer*>(self)->OnHeader({text, one * count});
      });
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_WRITEFUNCTION, +[](char* text, std::size_t one, std::size_t count, void* self) {
        return static_cast<Transfer*>(self)->OnBody({text, one * count});
      });
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(
      easy, CURLOPT_XFERINFOFUNCTION,
      +[](void* self, curl_off_t, curl_off_t, curl_off_t total, curl_off_t sent) {
        return static_cast<Transfer*>(self)->OnProgress(total, sent);
      });
}

std::size_t Transfer::OnHeader(std::string_view line) {
  received_bytes_ += line.size();
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    error_ = Error{ErrorCode::kResourceExhausted,
                   fmt::format("the headers of {} are longer than the limit of {} bytes", target_,
                               kMaxHeaderBytes)};
    return CURL_WRITEFUNC_ERROR;
  }
  if (line.starts_with("HTTP/")) {
    // After an interim reply the real one begins.
    reply_.headers.clear();
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    reply_.headers.emplace_back(LowerCase(Trim(line.substr(0, colon))),
                                std::string(Trim(line.substr(colon + 1))));
  }
  return line.size();
}

std::size_t Transfer::OnBody(std::string_view piece) {
  received_bytes_ += piece.size();
  if (cancelled_) return CURL_WRITEFUNC_ERROR;
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  if (request_.on_body && status / 100 == 2) {
    if (request_.on_body(AsBytes(piece))) return piece.size();
    error_ = Error{ErrorCode::kCancelled, "the receiver ended the exchange with " + target_};
    return CURL_WRITEFUNC_ERROR;
  }
  if (piece.size() > request_.max_body_bytes - reply_.body.size()) {
    error_ = Error{ErrorCode::kResourceExhausted,
                   fmt::format("the reply of {} is longer than the limit of {} bytes", target_,
                               request_.max_body_bytes)};
    return CURL_WRITEFUNC_ERROR;
  }
  const ByteView bytes = AsBytes(piece);
  reply_.body.insert(reply_.body.end(), bytes.begin(), bytes.end());
  return piece.size();
}

std::size_t Transfer::OnRead(char* into, std::size_t size) {
  if (file_ == nullptr) return pieces_.Read(into, size);
  const std::size_t count = std::fread(into, 1, size, file_.get());
  if (count > 0 || std::feof(file_.get()) != 0) return count;
  error_ = Error{ErrorCode::kDataLoss, "cannot read " + *request_.body_file};
  return CURL_READFUNC_ABORT;
}

bool Transfer::OnSeek(std::uint64_t offset) {
  if (file_ == nullptr) return pieces_.Seek(offset);
  return std::fseek(file_.get(), static_cast<long>(offset), SEEK_SET) == 0;
}

int Transfer::OnProgress(curl_off_t upload_total, curl_off_t sent) {
  if (cancelled_) return 1;
  const auto sent_now = static_cast<std::uint64_t>(std::max<curl_off_t>(sent, 0));
  if (sent_now == sent_bytes_) return 0;
  sent_bytes_ = sent_now;
  if (request_.on_upload_progress) {
    request_.on_upload_progress(sent_now,
                                static_cast<std::uint64_t>(std::max<curl_off_t>(upload_total, 0)));
  }
  return 0;
}

void Transfer::Finish(CURLcode code) {
  if (error_) return Fail(*std::exchange(error_, std::nullopt));
  if (code != CURLE_OK) return Fail(ErrorOf(code));
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  reply_.status = static_cast<int>(status);
  const auto done = std::exchange(done_, nullptr);
  if (!cancelled_ && done) done(std::move(reply_));
}

void Transfer::FinishStalled() {
  Fail({ErrorCode::kDeadlineExceeded,
        fmt::format("{}: no byte moved for {} ms", target_, request_.stall_timeout.count())});
}

void Transfer::Fail(Error error) {
  const auto done = std::exchange(done_, nullptr);
  if (!cancelled_ && done) done(std::unexpected(std::move(error)));
}

Error Transfer::ErrorOf(CURLcode code) const {
  const std::string reason =
      curl_message_[0] != '\0' ? std::string(Trim(curl_message_)) : curl_easy_strerror(code);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return {ErrorCode::kPermissionDenied,
              fmt::format("the certificate of {} is not trusted: {}", target_, reason)};
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return {
          ErrorCode::kInvalidArgument,
          fmt::format("the authority to trust for {} is not a certificate: {}", target_, reason)};
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {ErrorCode::kInvalidArgument, fmt::format("'{}': {}", request_.url, reason)};
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return {ErrorCode::kUnavailable, fmt::format("cannot connect to {}: {}", target_, reason)};
    case CURLE_SSL_CONNECT_ERROR:
      return {ErrorCode::kUnavailable,
              fmt::format("no TLS connection with {}: {}", target_, reason)};
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t microseconds = 0;
      curl_easy_getinfo(easy_.get(), CURLINFO_TOTAL_TIME_T, &microseconds);
      const bool whole_time_used =
          request_.timeout.count() > 0 && microseconds / 1000 >= request_.timeout.count();
      return {whole_time_used ? ErrorCode::kDeadlineExceeded : ErrorCode::kUnavailable,
              fmt::format("{} did not answer in time: {}", target_, reason)};
    }
    case CURLE_OUT_OF_MEMORY:
      return {ErrorCode::kResourceExhausted, "no memory for an HTTP exchange"};
    default:
      return {ErrorCode::kUnavailable,
              fmt::format("the exchange with {} broke: {}", target_, reason)};
  }
}

}  // namespace fallow
