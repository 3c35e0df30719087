#include "coordinator/http/connection_timeouts.h"

#include <algorithm>

#include "base/check.h"

namespace fallow::http {
namespace {

constexpr int kTicksPerTimeout = 10;

}  // namespace

ConnectionTimeouts::ConnectionTimeouts(const ServerLimits& limits)
    : head_timeout_(limits.head_timeout),
      idle_timeout_(limits.idle_timeout),
      tick_time_(std::max(std::chrono::milliseconds(1),
                          std::min(limits.head_timeout, limits.idle_timeout) / kTicksPerTimeout)) {}

void ConnectionTimeouts::HeadRead() {
  head_ticks_ = 0;
  body_ticks_ = 0;
}

void ConnectionTimeouts::RequestDone() {
  quiet_ticks_ = 0;
  head_ticks_ = 0;
  served_one_ = true;
}

ConnectionTimeouts::Verdict ConnectionTimeouts::Tick(const View& view) {
  if (WriteIsStuck(view.pending_write_bytes)) return Verdict::kClose;
  switch (view.stage) {
    case Stage::kHead:
      return TickHead(view);
    case Stage::kBody:
      return TickBody(view);
    case Stage::kReply:
      return Verdict::kWait;  // the client waits for us
    case Stage::kLinger:
      return TickLinger(view);
  }
  FALLOW_UNREACHABLE();
}

bool ConnectionTimeouts::WriteIsStuck(std::size_t pending_write_bytes) {
  const bool nothing_went =
      pending_write_bytes > 0 && pending_write_bytes >= last_pending_ + written_since_tick_;
  stuck_ticks_ = nothing_went ? stuck_ticks_ + 1 : 0;
  last_pending_ = pending_write_bytes;
  written_since_tick_ = 0;
  return Elapsed(stuck_ticks_, idle_timeout_);
}

ConnectionTimeouts::Verdict ConnectionTimeouts::TickHead(const View& view) {
  if (view.request_begun)
    return Elapsed(++head_ticks_, head_timeout_) ? Verdict::kHeadLate : Verdict::kWait;
  return Elapsed(++quiet_ticks_, served_one_ ? idle_timeout_ : head_timeout_) ? Verdict::kClose
                                                                              : Verdict::kWait;
}

ConnectionTimeouts::Verdict ConnectionTimeouts::TickBody(const View& view) {
  ++body_ticks_;
  if (Elapsed(++quiet_ticks_, idle_timeout_)) return Verdict::kBodyStopped;
  return BodyTrickles(view.body_bytes) ? Verdict::kBodyTrickles : Verdict::kWait;
}

ConnectionTimeouts::Verdict ConnectionTimeouts::TickLinger(const View& view) {
  if (view.pending_write_bytes > 0) return Verdict::kWait;  // WriteIsStuck decides
  const bool is_quiet = Elapsed(++quiet_ticks_, kLingerTime);
  const bool is_long = Elapsed(++linger_ticks_, idle_timeout_);
  return view.peer_ended || is_quiet || is_long ? Verdict::kClose : Verdict::kWait;
}

bool ConnectionTimeouts::BodyTrickles(std::uint64_t body_bytes) const {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(body_ticks_ * tick_time_).count();
  return Elapsed(body_ticks_, idle_timeout_) &&
         body_bytes < kMinBodyBytesPerSecond * static_cast<std::uint64_t>(seconds);
}

}  // namespace fallow::http
