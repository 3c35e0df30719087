// An Exchange is the responder of one request: what its handler says goes as HTTP to the connection
// under it.
//
// Handlers hold it, for as long as they like; the connection only points at it while its reply is
// not complete. Exactly one of Send and Start, as of every Responder. Threading: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "coordinator/http/reply_encoder.h"
#include "coordinator/http/server.h"

namespace fallow::http {

// A streaming writer that ignores slow() is cut off here.
inline constexpr std::size_t kMaxPendingStreamedBytes = 16 << 20;

// What an Exchange asks of its connection.
class ReplyChannel {
 public:
  // Asked once, before the head. `ends_with_connection`: the body will have no other end.
  virtual AfterReply DecideAfterReply(bool ends_with_connection) = 0;
  virtual void Write(Bytes bytes) = 0;
  virtual std::size_t pending_write_bytes() const = 0;
  // The client does not read, and the writer does not wait. Loses the exchange.
  virtual void OnOverflow() = 0;
  // One of these ends it, unless Lose came first: it does not call again. `kept_its_length`: the
  // body was as long as its head said.
  virtual void OnComplete(bool kept_its_length) = 0;
  virtual void OnAbandoned(bool head_sent) = 0;

 protected:
  ~ReplyChannel() = default;
};

class Exchange final : public Responder, public std::enable_shared_from_this<Exchange> {
 public:
  // `channel` must outlive the reply, or call Lose.
  Exchange(ReplyChannel* channel, ReplyEncoder::Client client)
      : channel_(channel), encoder_(client) {}
  ~Exchange() override;

  void Send(Response response) override;
  void Start(int status, Headers headers, std::optional<std::uint64_t> content_length) override;
  void Write(ByteView bytes) override;
  void End() override;
  bool slow() const override;
  bool gone() const override { return channel_ == nullptr; }
  void OnWritable(std::function<void()> fn) override;
  void OnGone(std::function<void()> fn) override;

  // For the connection: its client has caught up; its client has left. Lose returns what is to be
  // called then, null for nothing.
  void CallOnWritable();
  std::function<void()> Lose();
  bool head_sent() const { return encoder_.head_made(); }

 private:
  void Complete(bool kept_its_length);

  ReplyChannel* channel_;  // null once complete or gone
  ReplyEncoder encoder_;
  std::function<void()> on_writable_, on_gone_;
};

}  // namespace fallow::http
