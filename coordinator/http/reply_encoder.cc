#include "coordinator/http/reply_encoder.h"

#include <fmt/format.h>

#include "base/check.h"

namespace fallow::http {
namespace {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

bool StatusHasBody(int status) {
  return status >= 200 && status != 204 && status != 304;
}

// A value that would end its line is cut there: what users name a file must not become a header.
void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(
      value.substr(0, value.find_first_of(std::string_view("\r\n\0", 3))));
  out.append("\r\n");
}

}  // namespace

std::string ReplyEncoder::BeginHead(int status, const Headers& headers, AfterReply after) {
  FALLOW_CHECK(!head_made_);
  head_made_ = true;
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, ReasonPhrase(status));
  for (const auto& [name, value] : headers) AppendHeader(text, name, value);
  if (after == AfterReply::kClose)
    AppendHeader(text, "connection", "close");
  else if (!client_.knows_chunks)
    AppendHeader(text, "connection", "keep-alive");
  return text;
}

std::string ReplyEncoder::Whole(const Response& response, AfterReply after) {
  std::string text = BeginHead(response.status, response.headers, after);
  const bool has_body = StatusHasBody(response.status);
  if (has_body) AppendHeader(text, "content-length", std::to_string(response.body.size()));
  text += "\r\n";
  if (has_body && !client_.wants_head_only) text += response.body;
  return text;
}

std::string ReplyEncoder::Head(int status, const Headers& headers,
                               std::optional<std::uint64_t> content_length, AfterReply after) {
  std::string text = BeginHead(status, headers, after);
  remaining_ = content_length;
  chunked_ = !content_length.has_value() && client_.knows_chunks;
  if (content_length.has_value())
    AppendHeader(text, "content-length", std::to_string(*content_length));
  else if (chunked_)
    AppendHeader(text, "transfer-encoding", "chunked");
  return text + "\r\n";
}

Bytes ReplyEncoder::Piece(ByteView bytes) {
  FALLOW_CHECK(head_made_ && !bytes.empty());
  if (remaining_.has_value()) {
    FALLOW_CHECK(bytes.size() <= *remaining_);
    *remaining_ -= bytes.size();
  }
  if (!chunked_) return Bytes(bytes.begin(), bytes.end());
  const std::string size = fmt::format("{:x}\r\n", bytes.size());
  Bytes chunk;
  chunk.reserve(size.size() + bytes.size() + 2);
  chunk.insert(chunk.end(), size.begin(), size.end());
  chunk.insert(chunk.end(), bytes.begin(), bytes.end());
  chunk.insert(chunk.end(), {'\r', '\n'});
  return chunk;
}

std::string ReplyEncoder::Last() const {
  FALLOW_CHECK(head_made_);
  return chunked_ ? "0\r\n\r\n" : "";
}

}  // namespace fallow::http
