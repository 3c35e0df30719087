// One HTTP/1.1 connection: parse a request, let the handler answer, go on with the next.
//
// Requests of a connection are served one after another: the next is parsed when the body of the
// one before has been read and its reply is complete, so pipelined replies cannot mix. What is read
// is RequestReader's and BodyIntake's; what is written Exchange's; when to give up
// ConnectionTimeouts'. Here they meet.

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "coordinator/http/body_intake.h"
#include "coordinator/http/connection_timeouts.h"
#include "coordinator/http/error_response.h"
#include "coordinator/http/exchange.h"
#include "coordinator/http/request_reader.h"
#include "coordinator/http/server.h"

namespace fallow::http {
namespace {

// What may wait in memory behind a request that is still being answered.
constexpr std::size_t kMaxPipelinedBytes = 64 << 10;

class ConnectionImpl final : public Connection, public ReplyChannel {
 public:
  ConnectionImpl(Loop& loop, std::unique_ptr<ByteStream> stream, Handler handler,
                 const ServerLimits& limits, std::function<void()> on_closed)
      : loop_(loop),
        stream_(std::move(stream)),
        handler_(std::move(handler)),
        limits_(limits),
        on_closed_(std::move(on_closed)),
        reader_(limits.head_bytes),
        body_(limits.body_bytes),
        timeouts_(limits) {
    tick_ = loop_.Every(timeouts_.tick_time(), [this] { Tick(); });
    stream_->SetHandler({.on_data = [this](ByteView bytes) { OnData(bytes); },
                         .on_end = [this](Status status) { OnEnd(status); },
                         .on_writable = [this] { OnWritable(); }});
  }

  ~ConnectionImpl() override {
    *alive_ = false;
    closed_ = true;
    body_.Drop();
    if (auto on_gone = LoseExchange()) on_gone();
  }

  // --- From the exchange
  // ---------------------------------------------------------------------------------------------

  // An unread body that will not be worth reading ends the connection.
  AfterReply DecideAfterReply(bool ends_with_connection) override {
    body_is_cut_ = stage_ == Stage::kBody && !body_.is_rest_worth_reading();
    if (ends_with_connection || body_is_cut_) keep_alive_ = false;
    return keep_alive_ ? AfterReply::kKeepAlive : AfterReply::kClose;
  }
  void Write(Bytes bytes) override {
    timeouts_.Wrote(bytes.size());
    stream_->Write(std::move(bytes));
  }
  std::size_t pending_write_bytes() const override { return stream_->pending_write_bytes(); }
  void OnOverflow() override {
    LOG_WARN("http: cut a reply that its client does not read peer={} pending_bytes={}",
             stream_->peer(), stream_->pending_write_bytes());
    Close();
  }
  void OnComplete(bool kept_its_length) override {
    exchange_ = nullptr;
    body_.Answered();
    if (!kept_its_length) {
      Close();  // the client must not take half a reply for a whole one
      return;
    }
    if (closed_) return;
    if (stage_ == Stage::kReply || (stage_ == Stage::kBody && body_is_cut_)) NextRequest();
    // Else, in kBody the rest is read and dropped; the end of the body then leads on.
  }
  void OnAbandoned(bool head_sent) override {
    exchange_ = nullptr;
    body_.Answered();
    if (closed_) return;
    if (head_sent) {
      Close();
      return;
    }
    LOG_ERROR("http: a handler gave no reply path={}",
              reader_.request() != nullptr ? reader_.request()->head().path : "");
    RefuseAndClose(500, "The coordinator gave no answer.");
  }

 private:
  // --- From the stream
  // ---------------------------------------------------------------------------------------------

  void OnData(ByteView bytes) {
    if (closed_) return;
    timeouts_.Received();
    if (stage_ == Stage::kLinger) {
      lingered_bytes_ += bytes.size();
      if (lingered_bytes_ > kMaxDroppedBodyBytes) Close();
      return;
    }
    reader_.Append(bytes);
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

  // --- A request
  // ---------------------------------------------------------------------------------------------

  void Parse() {
    if (parsing_) return;
    parsing_ = true;
    while (!closed_ && (stage_ == Stage::kHead || stage_ == Stage::kBody)) {
      const bool goes_on = Take(reader_.Next());
      if (!goes_on) break;
    }
    parsing_ = false;
    if (closed_) return;
    reader_.Compact();
    const bool full = stage_ == Stage::kReply && reader_.waiting_bytes() >= kMaxPipelinedBytes;
    if (full == std::exchange(paused_, full)) return;
    if (full)
      stream_->PauseReading();
    else
      stream_->ResumeReading();
  }

  // Acts on a step of the parser; false when it needs more input.
  bool Take(const RequestParser::Step& step) {
    switch (step.kind) {
      case RequestParser::Kind::kNeedMore:
        return false;
      case RequestParser::Kind::kHead:
        TakeHead(*reader_.request());
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

  void TakeHead(const RequestParser& request) {
    keep_alive_ = request.keep_alive();
    timeouts_.HeadRead();
    const bool awaits_continue = request.expects_continue() && request.has_body();
    if (body_.Begin(request.content_length(), awaits_continue) == BodyIntake::Verdict::kTooLong) {
      RefuseLongBody();
      return;
    }
    stage_ = Stage::kBody;
    RequestHead head = request.head();
    head.peer = stream_->peer();
    const ReplyEncoder::Client client{.wants_head_only = head.method == "HEAD",
                                      .knows_chunks = request.http_1_1()};
    auto exchange = std::make_shared<Exchange>(this, client);
    exchange_ = exchange.get();
    auto sink = handler_(head, std::move(exchange));  // may reply, or give up, at once
    if (closed_ || stage_ == Stage::kLinger) return;
    if (exchange_ == nullptr) return;  // answered: what follows of the body is dropped
    body_.SetSink(std::move(sink));
    if (!body_.awaits_continue() || exchange_->head_sent()) return;
    WriteText("HTTP/1.1 100 Continue\r\n\r\n");
    body_.Continued();
  }

  void TakeBody(std::string_view piece) {
    switch (body_.Take(piece)) {
      case BodyIntake::Verdict::kGoOn:
        return;
      case BodyIntake::Verdict::kTooLong:
        RefuseLongBody();
        return;
      case BodyIntake::Verdict::kNotWorthReading:
        Close();
        return;
    }
  }

  void TakeEnd() {
    stage_ = Stage::kReply;
    if (exchange_ == nullptr)
      NextRequest();
    else
      body_.End();
  }

  // The request and its reply are complete.
  void NextRequest() {
    body_.Drop();
    if (!keep_alive_) {
      stream_->Shutdown();
      Linger();
      return;
    }
    reader_.NextRequest();
    stage_ = Stage::kHead;
    timeouts_.RequestDone();
    if (parsing_ || (!reader_.begun() && !paused_)) return;
    // Never from inside a handler's call to Send: the next handler runs on a stack of its own.
    loop_.Post([this, alive = alive_] {
      if (*alive) Parse();
    });
  }

  // --- The end
  // ---------------------------------------------------------------------------------------------

  void RefuseLongBody() {
    RefuseAndClose(413,
                   fmt::format("the request's body is longer than {} bytes", limits_.body_bytes));
  }

  void RefuseAndClose(int status, const std::string& message) {
    keep_alive_ = false;
    const bool reply_begun = exchange_ != nullptr && exchange_->head_sent();
    const bool reply_done = exchange_ == nullptr && stage_ != Stage::kHead && status != 500;
    PostGone();  // before the sink, which may be the last to hold the responder
    body_.Drop();
    if (closed_) return;
    if (reply_begun) {
      Close();
      return;
    }
    if (!reply_done) {
      const Response response = ErrorResponse({.status = status, .message = message});
      WriteText(ReplyEncoder({}).Whole(response, AfterReply::kClose));
    }
    stream_->Shutdown();
    Linger();
  }

  // All is said. Our side is shut, or the client's is.
  void Linger() {
    stage_ = Stage::kLinger;
    timeouts_.LingerBegan();
    lingered_bytes_ = 0;
    reader_.Drop();
    if (!parsing_) reader_.Compact();  // else a sink may still look at a piece of it
    if (std::exchange(paused_, false)) stream_->ResumeReading();
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    tick_ = nullptr;
    body_.Drop();
    PostGone();
    loop_.Post([this, alive = alive_] {
      if (!*alive) return;
      stream_ = nullptr;
      if (auto fn = std::exchange(on_closed_, nullptr)) fn();  // may destroy us
    });
  }

  std::function<void()> LoseExchange() {
    Exchange* exchange = std::exchange(exchange_, nullptr);
    return exchange == nullptr ? nullptr : exchange->Lose();
  }
  // Never from inside a handler's call to Write.
  void PostGone() {
    if (auto on_gone = LoseExchange()) loop_.Post(std::move(on_gone));
  }

  void WriteText(std::string_view text) {
    const ByteView bytes = AsBytes(text);
    Write(Bytes(bytes.begin(), bytes.end()));
  }

  void Tick() {
    if (closed_) return;
    using Verdict = ConnectionTimeouts::Verdict;
    switch (timeouts_.Tick({.stage = stage_,
                            .request_begun = reader_.begun(),
                            .body_bytes = body_.taken_bytes(),
                            .pending_write_bytes = stream_->pending_write_bytes(),
                            .peer_ended = peer_ended_})) {
      case Verdict::kWait:
        return;
      case Verdict::kClose:
        Close();
        return;
      case Verdict::kHeadLate:
        RefuseAndClose(408, fmt::format("the request's head did not arrive within {} ms",
                                        limits_.head_timeout.count()));
        return;
      case Verdict::kBodyStopped:
        RefuseAndClose(408, "the request's body stopped arriving");
        return;
      case Verdict::kBodyTrickles:
        RefuseAndClose(408, fmt::format("the request's body came slower than {} bytes a second",
                                        kMinBodyBytesPerSecond));
        return;
    }
  }

  Loop& loop_;
  std::unique_ptr<ByteStream> stream_;
  const Handler handler_;
  const ServerLimits limits_;
  std::function<void()> on_closed_;
  std::unique_ptr<Timer> tick_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // outlives us in posted calls

  Stage stage_ = Stage::kHead;
  RequestReader reader_;
  BodyIntake body_;
  ConnectionTimeouts timeouts_;
  Exchange* exchange_ = nullptr;  // unfinished reply
  bool parsing_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool keep_alive_ = true;
  bool peer_ended_ = false;
  bool body_is_cut_ = false;  // the reply goes out and the rest of the body is not waited for
  std::uint64_t lingered_bytes_ = 0;
};

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
