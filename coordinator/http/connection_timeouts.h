// ConnectionTimeouts decides when a connection has waited for long enough. It counts ticks; it has
// no clock.
//
// Threading: none of its own.
#pragma once

#include <chrono>
#include <cstdint>

#include "coordinator/http/server.h"

namespace fallow::http {

// A body that goes on for longer than the idle timeout must come at this pace on average: trickled
// bodies would otherwise hold a connection each for as long as their sender likes.
inline constexpr std::uint64_t kMinBodyBytesPerSecond = 256;
// After our last byte the client has this long to close its side; while it still sends, the idle
// timeout in all.
inline constexpr std::chrono::milliseconds kLingerTime{2'000};

// What a connection waits for.
enum class Stage : std::uint8_t {
  kHead,    // a request's head, or the rest of it
  kBody,    // a request's body
  kReply,   // the handler's reply: the body has been read
  kLinger,  // all is said; the client may close
};

class ConnectionTimeouts {
 public:
  enum class Verdict : std::uint8_t { kWait, kClose, kHeadLate, kBodyStopped, kBodyTrickles };

  // What there is to see at a tick.
  struct View {
    Stage stage = Stage::kHead;
    bool request_begun = false;    // in kHead: something of it has come
    std::uint64_t body_bytes = 0;  // in kBody: come so far
    std::size_t pending_write_bytes = 0;
    bool peer_ended = false;
  };

  explicit ConnectionTimeouts(const ServerLimits& limits);

  std::chrono::milliseconds tick_time() const { return tick_time_; }

  // What has happened since the tick before.
  void Received() { quiet_ticks_ = 0; }
  void Wrote(std::size_t bytes) { written_since_tick_ += bytes; }
  void HeadRead();
  void RequestDone();  // it and its reply are complete
  void LingerBegan() { quiet_ticks_ = linger_ticks_ = 0; }

  // Every tick_time().
  Verdict Tick(const View& view);

 private:
  bool Elapsed(int ticks, std::chrono::milliseconds limit) const {
    return ticks * tick_time_ > limit;
  }
  bool WriteIsStuck(std::size_t pending_write_bytes);
  Verdict TickHead(const View& view);
  Verdict TickBody(const View& view);
  Verdict TickLinger(const View& view);
  bool BodyTrickles(std::uint64_t body_bytes) const;

  const std::chrono::milliseconds head_timeout_;
  const std::chrono::milliseconds idle_timeout_;
  const std::chrono::milliseconds tick_time_;
  bool served_one_ = false;
  int head_ticks_ = 0;
  int body_ticks_ = 0;
  int quiet_ticks_ = 0;
  int linger_ticks_ = 0;
  int stuck_ticks_ = 0;
  std::size_t last_pending_ = 0;
  std::size_t written_since_tick_ = 0;
};

}  // namespace fallow::http
