// One HTTP/1.1 connection: parse a request, let the handler answer, go on with the next.
//
// Requests of a connection are served one after another: the next is parsed when the body of the
// one before has been read and its reply is complete, so pipelined replies cannot mix.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "coordinator/http/error_response.h"
#include "coordinator/http/request_parser.h"
#include "coordinator/http/server.h"

namespace fallow::http {
namespace {

// What may wait in memory behind a request that is still being answered.
constexpr std::size_t kMaxPipelinedBytes = 64 << 10;
// A body that nobody wants is read to its end so that the client sees the reply; beyond this the
// connection is cut.
constexpr std::uint64_t kMaxDroppedBodyBytes = 64 << 20;
// A body that goes on for longer than the idle timeout must come at this pace on average: trickled
// bodies would otherwise hold a connection each for as long as their sender likes.
constexpr std::uint64_t kMinBodyBytesPerSecond = 256;
// A streaming writer that ignores slow() is cut off here.
constexpr std::size_t kMaxPendingStreamedBytes = 16 << 20;
// After our last byte the client has this long to close its side.
constexpr std::chrono::milliseconds kLingerTime{2'000};
constexpr int kTicksPerTimeout = 10;

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

using Headers = std::vector<std::pair<std::string, std::string>>;

// A value that would end its line is cut there: what users name a file must not become a header.
void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(
      value.substr(0, value.find_first_of(std::string_view("\r\n\0", 3))));
  out.append("\r\n");
}

Bytes ToBytes(std::string_view text) {
  const ByteView view = AsBytes(text);
  return Bytes(view.begin(), view.end());
}

class ConnectionImpl;

// The responder of one request. Held by handlers; the connection only points at it while it is
// unfinished.
class Exchange final : public Responder, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(ConnectionImpl* connection, bool head_only, bool chunked_allowed)
      : connection_(connection), head_only_(head_only), chunked_allowed_(chunked_allowed) {}
  ~Exchange() override;

  void Send(Response response) override;
  void Start(int status, Headers headers, std::optional<std::uint64_t> content_length) override;
  void Write(ByteView bytes) override;
  void End() override;
  bool slow() const override;
  bool gone() const override { return connection_ == nullptr; }
  void OnWritable(std::function<void()> fn) override {
    if (connection_ != nullptr) on_writable_ = std::move(fn);
  }
  void OnGone(std::function<void()> fn) override {
    if (connection_ != nullptr) on_gone_ = std::move(fn);
  }

  void CallOnWritable() {
    const auto self = shared_from_this();
    auto fn = std::exchange(on_writable_, nullptr);
    if (!fn) return;
    fn();
    if (connection_ != nullptr && !on_writable_) on_writable_ = std::move(fn);
  }
  // The connection has ended; what is to be called then.
  std::function<void()> Lose() {
    const auto self = shared_from_this();
    connection_ = nullptr;
    const auto writable = std::exchange(on_writable_, nullptr);
    return std::exchange(on_gone_, nullptr);
  }
  bool head_sent() const { return head_sent_; }

 private:
  std::string Head(int status, const Headers& headers) const;
  void Complete(bool intact);

  ConnectionImpl* connection_;  // null once complete or gone
  const bool head_only_;
  const bool chunked_allowed_;
  bool head_sent_ = false;
  bool chunked_ = false;
  std::optional<std::uint64_t> remaining_;
  std::function<void()> on_writable_, on_gone_;
};

class ConnectionImpl final : public Connection {
 public:
  ConnectionImpl(Loop& loop, std::unique_ptr<ByteStream> stream, Handler handler,
                 const ServerLimits& limits, std::function<void()> on_closed)
      : loop_(loop),
        stream_(std::move(stream)),
        handler_(std::move(handler)),
        limits_(limits),
        on_closed_(std::move(on_closed)),
        tick_time_(
            std::max(std::chrono::milliseconds(1),
                     std::min(limits.head_timeout, limits.idle_timeout) / kTicksPerTimeout)) {
    tick_ = loop_.Every(tick_time_, [this] { Tick(); });
    stream_->SetHandler({.on_data = [this](ByteView bytes) { OnData(bytes); },
                         .on_end = [this](Status status) { OnEnd(status); },
                         .on_writable = [this] { OnWritable(); }});
  }

  ~ConnectionImpl() override {
    *alive_ = false;
    closed_ = true;
    DropSink();
    if (auto on_gone = LoseExchange()) on_gone();
  }

  // --- For the exchange
  // ---------------------------------------------------------------------------------------------
  ByteStream& stream() { return *stream_; }
  void WriteText(std::string text) { WriteBytes(ToBytes(text)); }
  void WriteBytes(Bytes bytes) {
    written_since_tick_ += bytes.size();
    stream_->Write(std::move(bytes));
  }
  bool ClosesAfterReply() const { return !keep_alive_; }
  // Called as a reply's head is made: an unread body that will not be worth reading ends the
  // connection.
  void DecideKeepAlive() {
    if (stage_ != Stage::kBody) return;
    const auto length = parser_->content_length();
    body_is_cut_ =
        awaiting_continue_ || (length.has_value() && *length - body_bytes_ > kMaxDroppedBodyBytes);
    if (body_is_cut_) keep_alive_ = false;
  }
  void EndAfterReply() { keep_alive_ = false; }
  void CutForOverflow() {
    LOG_WARN("http: cut a reply that its client does not read peer={} pending_bytes={}",
             stream_->peer(), stream_->pending_write_bytes());
    Close();
  }
  // `intact`: the reply ended as its head promised.
  void ReplyComplete(bool intact) {
    exchange_ = nullptr;
    if (!intact) {
      Close();
      return;
    }
    if (closed_) return;
    if (stage_ == Stage::kReply || (stage_ == Stage::kBody && body_is_cut_)) NextRequest();
    // Else, in kBody the rest is read and dropped; the end of the body then leads on.
  }
  void Abandoned(bool head_sent) {
    exchange_ = nullptr;
    if (closed_) return;
    if (head_sent) {
      Close();  // the client must not take half a reply for a whole one
      return;
    }
    LOG_ERROR("http: a handler gave no reply path={}", parser_ ? parser_->head().path : "");
    keep_alive_ = false;
    RefuseAndClose(500, "The coordinator gave no answer.");
  }

 private:
  enum class Stage {
    kHead,    // waiting for or reading a request's head
    kBody,    // reading a body
    kReply,   // the body has been read, the reply is not complete
    kLinger,  // all is said; waiting for the client to close
  };

  void OnData(ByteView bytes) {
    if (closed_) return;
    quiet_ticks_ = 0;
    if (stage_ == Stage::kLinger) {
      dropped_bytes_ += bytes.size();
      if (dropped_bytes_ > kMaxDroppedBodyBytes) Close();
      return;
    }
    input_.append(AsText(bytes));
    Parse();
  }

  void OnEnd(const Status& status) {
    if (closed_) return;
    peer_ended_ = true;
    // A clean end after complete replies still lets them out.
    if (status.has_value() && exchange_ == nullptr && stream_->pending_write_bytes() > 0) {
      Linger();
      return;
    }
    Close();
  }

  void OnWritable() {
    if (exchange_ != nullptr) exchange_->CallOnWritable();
  }

  void Parse() {
    if (parsing_) return;
    parsing_ = true;
    while (!closed_ && (stage_ == Stage::kHead || stage_ == Stage::kBody)) {
      if (stage_ == Stage::kHead && !SkipEmptyLines()) break;
      if (parser_ == nullptr) parser_ = std::make_unique<RequestParser>(limits_.head_bytes);
      const RequestParser::Step step =
          parser_->Next(std::string_view(input_).substr(input_offset_));
      const bool goes_on = Take(step);
      if (!goes_on) break;
    }
    parsing_ = false;
    if (closed_) return;
    input_.erase(0, stage_ == Stage::kLinger ? std::string::npos : input_offset_);
    input_offset_ = 0;
    const bool full = stage_ == Stage::kReply && input_.size() >= kMaxPipelinedBytes;
    if (full != paused_) {
      paused_ = full;
      if (full) {
        stream_->PauseReading();
      } else {
        stream_->ResumeReading();
      }
    }
  }

  // Before a request line, empty lines are skipped (RFC 9112, 2.2). False: there is nothing to
  // parse yet.
  bool SkipEmptyLines() {
    if (parser_ != nullptr) return input_offset_ < input_.size();
    while (input_offset_ + 1 < input_.size() && input_[input_offset_] == '\r' &&
           input_[input_offset_ + 1] == '\n')
      input_offset_ += 2;
    const std::size_t rest = input_.size() - input_offset_;
    return rest > 1 || (rest == 1 && input_[input_offset_] != '\r');
  }

  // Acts on a step of the parser; false when it needs more input.
  bool Take(const RequestParser::Step& step) {
    // `step.body` points into input_, which is not changed before the piece has been taken.
    input_offset_ += step.consumed;
    switch (step.kind) {
      case RequestParser::Kind::kNeedMore:
        return false;
      case RequestParser::Kind::kHead:
        TakeHead();
        return true;
      case RequestParser::Kind::kBody:
        TakeBody(step.body);
        return true;
      case RequestParser::Kind::kEnd:
        TakeEnd();
        return true;
      case RequestParser::Kind::kBad:
        RefuseAndClose(step.status, step.message);
        return false;
    }
    FALLOW_UNREACHABLE();
  }

  void TakeHead() {
    const RequestParser& parser = *parser_;
    keep_alive_ = parser.keep_alive();
    head_ticks_ = 0;
    body_ticks_ = 0;
    body_bytes_ = 0;
    dropped_bytes_ = 0;
    body_is_cut_ = false;
    if (parser.content_length().value_or(0) > limits_.body_bytes) {
      RefuseAndClose(413,
                     fmt::format("the request's body is longer than {} bytes", limits_.body_bytes));
      return;
    }
    stage_ = Stage::kBody;
    awaiting_continue_ = parser.expects_continue() && parser.has_body();
    RequestHead head = parser.head();
    head.peer = stream_->peer();
    auto exchange = std::make_shared<Exchange>(this, head.method == "HEAD", parser.http_1_1());
    exchange_ = exchange.get();
    auto sink = handler_(head, std::move(exchange));  // may reply, or give up, at once
    if (closed_ || stage_ == Stage::kLinger) return;
    if (exchange_ == nullptr) return;  // answered: what follows of the body is dropped
    sink_ = std::move(sink);
    if (awaiting_continue_ && !exchange_->head_sent()) {
      WriteText("HTTP/1.1 100 Continue\r\n\r\n");
      awaiting_continue_ = false;
    }
  }

  void TakeBody(std::string_view piece) {
    awaiting_continue_ = false;
    body_bytes_ += piece.size();
    if (body_bytes_ > limits_.body_bytes) {
      RefuseAndClose(413,
                     fmt::format("the request's body is longer than {} bytes", limits_.body_bytes));
      return;
    }
    if (exchange_ == nullptr) DropSink();
    if (auto sink = std::move(sink_)) {  // ours while it runs: its reply may end the request
      sink->OnData(AsBytes(piece));
      if (exchange_ != nullptr && stage_ == Stage::kBody) sink_ = std::move(sink);
      return;
    }
    dropped_bytes_ += piece.size();
    if (dropped_bytes_ > kMaxDroppedBodyBytes && exchange_ == nullptr) Close();
  }

  void TakeEnd() {
    stage_ = Stage::kReply;
    if (exchange_ == nullptr) {
      NextRequest();
      return;
    }
    if (const auto sink = std::move(sink_)) sink->OnEnd();
  }

  // The request and its reply are complete.
  void NextRequest() {
    DropSink();
    if (!keep_alive_) {
      stream_->Shutdown();
      Linger();
      return;
    }
    parser_ = nullptr;
    stage_ = Stage::kHead;
    quiet_ticks_ = 0;
    head_ticks_ = 0;
    served_one_ = true;
    if (parsing_ || (input_.empty() && !paused_)) return;
    // Never from inside a handler's call to Send: the next handler runs on a stack of its own.
    loop_.Post([this, alive = alive_] {
      if (*alive) Parse();
    });
  }

  void RefuseAndClose(int status, const std::string& message) {
    keep_alive_ = false;
    const bool reply_begun = exchange_ != nullptr && exchange_->head_sent();
    const bool reply_done = exchange_ == nullptr && stage_ != Stage::kHead && status != 500;
    PostGone();  // before the sink, which may be the last to hold the responder
    DropSink();
    if (closed_) return;
    if (reply_begun) {
      Close();
      return;
    }
    if (!reply_done) {
      const Response response = ErrorResponse({.status = status, .message = message});
      std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, ReasonPhrase(status));
      for (const auto& [name, value] : response.headers) AppendHeader(text, name, value);
      AppendHeader(text, "content-length", std::to_string(response.body.size()));
      AppendHeader(text, "connection", "close");
      WriteText(text + "\r\n" + response.body);
    }
    stream_->Shutdown();
    Linger();
  }

  void Linger() {
    stage_ = Stage::kLinger;
    quiet_ticks_ = 0;
    dropped_bytes_ = 0;
    parser_ = nullptr;
    if (!parsing_) {  // else a sink may still look at a piece of it
      input_.clear();
      input_offset_ = 0;
    }
    if (std::exchange(paused_, false)) stream_->ResumeReading();
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    tick_ = nullptr;
    DropSink();
    PostGone();
    loop_.Post([this, alive = alive_] {
      if (!*alive) return;
      stream_ = nullptr;
      if (auto fn = std::exchange(on_closed_, nullptr)) fn();  // may destroy us
    });
  }

  void DropSink() {
    const auto sink = std::exchange(sink_, nullptr);  // its destructor may reply
  }
  std::function<void()> LoseExchange() {
    Exchange* exchange = std::exchange(exchange_, nullptr);
    return exchange == nullptr ? nullptr : exchange->Lose();
  }
  // Never from inside a handler's call to Write.
  void PostGone() {
    if (auto on_gone = LoseExchange()) loop_.Post(std::move(on_gone));
  }

  bool Elapsed(int ticks, std::chrono::milliseconds limit) const {
    return ticks * tick_time_ > limit;
  }

  void Tick() {
    if (closed_) return;
    const std::size_t pending = stream_->pending_write_bytes();
    const bool stuck = pending > 0 && pending >= last_pending_ + written_since_tick_;
    stuck_ticks_ = stuck ? stuck_ticks_ + 1 : 0;
    last_pending_ = pending;
    written_since_tick_ = 0;
    if (Elapsed(stuck_ticks_, limits_.idle_timeout)) {
      Close();
      return;
    }
    switch (stage_) {
      case Stage::kHead:
        TickHead();
        return;
      case Stage::kBody:
        ++body_ticks_;
        if (Elapsed(++quiet_ticks_, limits_.idle_timeout))
          RefuseAndClose(408, "the request's body stopped arriving");
        else if (BodyTrickles())
          RefuseAndClose(408, fmt::format("the request's body came slower than {} bytes a second",
                                          kMinBodyBytesPerSecond));
        return;
      case Stage::kReply:
        return;  // the client waits for us
      case Stage::kLinger:
        // While something is pending, `stuck` decides.
        if (pending > 0) return;
        if (peer_ended_ || Elapsed(++quiet_ticks_, kLingerTime)) Close();
        return;
    }
  }

  bool BodyTrickles() const {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(body_ticks_ * tick_time_).count();
    return Elapsed(body_ticks_, limits_.idle_timeout) &&
           body_bytes_ < kMinBodyBytesPerSecond * static_cast<std::uint64_t>(seconds);
  }

  void TickHead() {
    const bool begun = parser_ != nullptr || !input_.empty();
    if (begun) {
      if (Elapsed(++head_ticks_, limits_.head_timeout))
        RefuseAndClose(408, fmt::format("the request's head did not arrive within {} ms",
                                        limits_.head_timeout.count()));
      return;
    }
    if (Elapsed(++quiet_ticks_, served_one_ ? limits_.idle_timeout : limits_.head_timeout)) Close();
  }

  Loop& loop_;
  std::unique_ptr<ByteStream> stream_;
  const Handler handler_;
  const ServerLimits limits_;
  std::function<void()> on_closed_;
  const std::chrono::milliseconds tick_time_;
  std::unique_ptr<Timer> tick_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // outlives us in posted calls

  Stage stage_ = Stage::kHead;
  std::unique_ptr<RequestParser> parser_;  // of the request being read or answered
  std::string input_;                      // received, not yet parsed, from input_offset_
  std::size_t input_offset_ = 0;
  std::unique_ptr<BodySink> sink_;
  Exchange* exchange_ = nullptr;  // unfinished reply
  bool parsing_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool keep_alive_ = true;
  bool peer_ended_ = false;
  bool body_is_cut_ = false;        // the reply goes out and the rest of the body is not waited for
  bool awaiting_continue_ = false;  // the client waits for 100 before it sends its body
  bool served_one_ = false;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t dropped_bytes_ = 0;
  int head_ticks_ = 0;
  int body_ticks_ = 0;
  int quiet_ticks_ = 0;
  int stuck_ticks_ = 0;
  std::size_t last_pending_ = 0;
  std::size_t written_since_tick_ = 0;
};

Exchange::~Exchange() {
  if (ConnectionImpl* connection = std::exchange(connection_, nullptr))
    connection->Abandoned(head_sent_);
}

std::string Exchange::Head(int status, const Headers& headers) const {
  connection_->DecideKeepAlive();
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, ReasonPhrase(status));
  for (const auto& [name, value] : headers) AppendHeader(text, name, value);
  if (connection_->ClosesAfterReply())
    AppendHeader(text, "connection", "close");
  else if (!chunked_allowed_)
    AppendHeader(text, "connection", "keep-alive");
  return text;
}

void Exchange::Send(Response response) {
  if (connection_ == nullptr) return;
  FALLOW_CHECK(!head_sent_);
  std::string text = Head(response.status, response.headers);
  if (StatusHasBody(response.status)) {
    AppendHeader(text, "content-length", std::to_string(response.body.size()));
    text += "\r\n";
    if (!head_only_) text += response.body;
  } else {
    text += "\r\n";
  }
  head_sent_ = true;
  connection_->WriteText(std::move(text));
  Complete(/*intact=*/true);
}

void Exchange::Start(int status, Headers headers, std::optional<std::uint64_t> content_length) {
  if (connection_ == nullptr) return;
  FALLOW_CHECK(!head_sent_);
  remaining_ = content_length;
  if (!content_length.has_value() && !chunked_allowed_) connection_->EndAfterReply();
  std::string text = Head(status, headers);
  if (content_length.has_value()) {
    AppendHeader(text, "content-length", std::to_string(*content_length));
  } else if (chunked_allowed_) {
    chunked_ = true;
    AppendHeader(text, "transfer-encoding", "chunked");
  }
  head_sent_ = true;
  connection_->WriteText(text + "\r\n");
  if (head_only_) Complete(/*intact=*/true);
}

void Exchange::Write(ByteView bytes) {
  if (connection_ == nullptr || bytes.empty()) return;
  FALLOW_CHECK(head_sent_);
  if (remaining_.has_value()) {
    FALLOW_CHECK(bytes.size() <= *remaining_);
    *remaining_ -= bytes.size();
  }
  if (connection_->stream().pending_write_bytes() + bytes.size() > kMaxPendingStreamedBytes) {
    connection_->CutForOverflow();
    return;
  }
  if (!chunked_) {
    connection_->WriteBytes(Bytes(bytes.begin(), bytes.end()));
    return;
  }
  const std::string size = fmt::format("{:x}\r\n", bytes.size());
  Bytes chunk;
  chunk.reserve(size.size() + bytes.size() + 2);
  chunk.insert(chunk.end(), size.begin(), size.end());
  chunk.insert(chunk.end(), bytes.begin(), bytes.end());
  chunk.insert(chunk.end(), {'\r', '\n'});
  connection_->WriteBytes(std::move(chunk));
}

void Exchange::End() {
  if (connection_ == nullptr) return;
  FALLOW_CHECK(head_sent_);
  if (chunked_) connection_->WriteText("0\r\n\r\n");
  Complete(/*intact=*/remaining_.value_or(0) == 0);
}

void Exchange::Complete(bool intact) {
  ConnectionImpl* connection = std::exchange(connection_, nullptr);
  // These may hold the last references to us, and we may be running inside one of them.
  const auto writable = std::exchange(on_writable_, nullptr);
  const auto gone = std::exchange(on_gone_, nullptr);
  connection->ReplyComplete(intact);
}

bool Exchange::slow() const {
  return connection_ != nullptr &&
         connection_->stream().pending_write_bytes() >= kStreamHighWaterBytes;
}

}  // namespace

std::string_view RequestHead::Header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return {};
}

std::unique_ptr<Connection> ServeConnection(Loop& loop, std::unique_ptr<ByteStream> stream,
                                            Handler handler, const ServerLimits& limits,
                                            std::function<void()> on_closed) {
  return std::make_unique<ConnectionImpl>(loop, std::move(stream), std::move(handler), limits,
                                          std::move(on_closed));
}

}  // namespace fallow::http
