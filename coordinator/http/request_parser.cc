#include "coordinator/http/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <utility>

namespace fallow::http {
namespace {

namespace beast = boost::beast;
using ErrorCode = beast::error_code;

// The line of a chunk's size and the trailer fields; nobody we serve sends either longer.
constexpr std::size_t kMaxChunkFramingBytes = 8 << 10;

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == y; });
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return lower;
}

std::string_view View(beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

class RequestParser::Impl final : public beast::http::basic_parser<true> {
 public:
  explicit Impl(std::size_t max_head_bytes) : max_head_bytes_(max_head_bytes) {
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(max_head_bytes, std::numeric_limits<std::uint32_t>::max())));
    body_limit(std::numeric_limits<std::uint64_t>::max());  // the connection counts
  }

  Step Next(std::string_view input) {
    Step step;
    if (head_given_ && is_done()) {
      step.kind = Kind::kEnd;
      return step;
    }
    while (!input.empty()) {
      piece_ = {};
      ErrorCode error;
      const std::size_t used = put(boost::asio::const_buffer(input.data(), input.size()), error);
      step.consumed += used;
      input.remove_prefix(used);
      if (!head_given_) head_bytes_ += used;
      if (error == beast::http::error::need_more)
        return CheckWaiting(std::move(step), input.size());
      if (error) return Bad(std::move(step), error);
      if (!head_given_ && is_header_done()) return GiveHead(std::move(step));
      if (!piece_.empty()) {
        step.kind = Kind::kBody;
        step.body = piece_;
        return step;
      }
      if (head_given_ && is_done()) {
        step.kind = Kind::kEnd;
        return step;
      }
    }
    return CheckWaiting(std::move(step), 0);
  }

  RequestHead head_;
  bool http_1_1_ = false;
  bool expects_continue_ = false;

 private:
  Step GiveHead(Step step) {
    head_given_ = true;
    if (head_bytes_ > max_head_bytes_) return HeadTooLarge(std::move(step));
    if (!refusal_.empty()) return Refuse(std::move(step), refusal_status_, refusal_);
    if (http_1_1_ && host_count_ != 1)
      return Refuse(std::move(step), 400, "the request must have exactly one Host header");
    if (!http_1_1_ && chunked())
      return Refuse(std::move(step), 400, "HTTP/1.0 has no Transfer-Encoding");
    step.kind = Kind::kHead;
    return step;
  }

  Step CheckWaiting(Step step, std::size_t waiting) const {
    if (!head_given_ && head_bytes_ + waiting > max_head_bytes_)
      return HeadTooLarge(std::move(step));
    if (head_given_ && waiting > kMaxChunkFramingBytes)
      return Refuse(std::move(step), 400, "a chunk header or trailer of the body is too long");
    step.kind = Kind::kNeedMore;
    return step;
  }

  Step HeadTooLarge(Step step) const {
    return Refuse(std::move(step), 431,
                  fmt::format("the request's head is longer than {} bytes", max_head_bytes_));
  }

  Step Bad(Step step, const ErrorCode& error) const {
    if (error == beast::http::error::header_limit) return HeadTooLarge(std::move(step));
    if (error == beast::http::error::bad_version)
      return Refuse(std::move(step), 505, "this server speaks HTTP/1.1");
    return Refuse(std::move(step), 400,
                  fmt::format("the request is not well-formed HTTP/1.1: {}", error.message()));
  }

  static Step Refuse(Step step, int status, std::string message) {
    step.kind = Kind::kBad;
    step.status = status;
    step.message = std::move(message);
    return step;
  }

  void RefuseLater(int status, std::string message) {
    if (!refusal_.empty()) return;
    refusal_status_ = status;
    refusal_ = std::move(message);
  }

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, ErrorCode&) override {
    head_.method = std::string(View(method));
    http_1_1_ = version >= 11;
    std::string_view rest = View(target);
    if (!rest.starts_with('/')) {  // the absolute form, as proxies send it
      const std::size_t scheme = rest.find("://");
      if (scheme != std::string_view::npos) {
        const std::size_t path = rest.find_first_of("/?", scheme + 3);
        rest = path == std::string_view::npos ? std::string_view("/") : rest.substr(path);
      }
    }
    rest = rest.substr(0, rest.find('#'));
    const std::size_t question = rest.find('?');
    head_.path = std::string(rest.substr(0, question));
    if (question != std::string_view::npos) head_.query = std::string(rest.substr(question + 1));
    if (!head_.path.starts_with('/'))
      RefuseLater(400, "the request target must be a path that starts with '/'");
  }

  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     ErrorCode&) override {
    if (head_given_) return;  // a trailer: nothing we serve uses one
    std::string key = LowerCase(View(name));
    const std::string_view text = View(value);
    if (key == "host") {
      ++host_count_;
    } else if (key == "content-length") {
      if (++content_length_count_ > 1 || text.empty() ||
          !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
        RefuseLater(400, "the request must have at most one Content-Length, in digits");
    } else if (key == "transfer-encoding") {
      if (!EqualsIgnoringCase(text, "chunked"))
        RefuseLater(501, "the only Transfer-Encoding this server reads is \"chunked\"");
    } else if (key == "expect") {
      if (EqualsIgnoringCase(text, "100-continue")) {
        expects_continue_ = true;
      } else {
        RefuseLater(417, "the only expectation this server meets is \"100-continue\"");
      }
    }
    head_.headers.emplace_back(std::move(key), std::string(text));
  }

  std::size_t on_body_impl(beast::string_view body, ErrorCode&) override {
    piece_ = View(body);
    return body.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, ErrorCode&) override {
    piece_ = View(body);
    return body.size();
  }
  void on_response_impl(int, beast::string_view, int, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, ErrorCode&) override {}
  void on_finish_impl(ErrorCode&) override {}

  const std::size_t max_head_bytes_;
  std::size_t head_bytes_ = 0;
  bool head_given_ = false;
  int host_count_ = 0;
  int content_length_count_ = 0;
  int refusal_status_ = 0;
  std::string refusal_;
  std::string_view piece_;
};

RequestParser::RequestParser(std::size_t max_head_bytes)
    : impl_(std::make_unique<Impl>(max_head_bytes)) {}
RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::Next(std::string_view input) {
  return impl_->Next(input);
}
const RequestHead& RequestParser::head() const {
  return impl_->head_;
}
bool RequestParser::keep_alive() const {
  return impl_->keep_alive();
}
bool RequestParser::http_1_1() const {
  return impl_->http_1_1_;
}
bool RequestParser::expects_continue() const {
  return impl_->expects_continue_ && impl_->http_1_1_;
}
bool RequestParser::has_body() const {
  return impl_->chunked() || (impl_->content_length().has_value() && *impl_->content_length() > 0);
}
std::optional<std::uint64_t> RequestParser::content_length() const {
  if (impl_->chunked()) return std::nullopt;
  const auto length = impl_->content_length();
  return length.has_value() ? std::uint64_t{*length} : 0;
}

}  // namespace fallow::http
