#include "agent/session/daemon_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "platform/local_socket.h"

namespace fallow {

DaemonLink::DaemonLink(Loop& loop, const Clock& clock, SessionReporter& reporter, Connect connect,
                       DaemonLinkOptions options)
    : loop_(loop),
      clock_(clock),
      reporter_(reporter),
      connect_(std::move(connect)),
      options_(options),
      next_retry_(options.first_retry) {}

void DaemonLink::Start() {
  TryToConnect();
}

void DaemonLink::TryToConnect() {
  timer_.reset();
  auto daemon = connect_();
  if (!daemon) return TryAgainLater(daemon.error().message);
  LOG_DEBUG("session: connected to the agent");
  connected_ = true;
  connected_at_ = clock_.Steady();
  reporter_.Attach(*std::move(daemon), [this](const std::string& why) { OnLost(why); });
}

void DaemonLink::OnLost(const std::string& why) {
  connected_ = false;
  if (on_end_) {
    timer_.reset();
    std::exchange(on_end_, nullptr)();
    return;
  }
  // One that hangs up at once has refused us: that is no success.
  if (clock_.Steady() - connected_at_ >= options_.max_retry) next_retry_ = options_.first_retry;
  TryAgainLater("lost the agent: " + why);
}

void DaemonLink::TryAgainLater(const std::string& why) {
  if (std::exchange(said_, why) != why) {
    LOG_INFO("session: {}; trying again every {} to {} s", why, options_.first_retry.count() / 1000,
             options_.max_retry.count() / 1000);
  }
  timer_ = loop_.After(next_retry_, [this] { TryToConnect(); });
  next_retry_ = std::min(2 * next_retry_, options_.max_retry);
}

void DaemonLink::End(std::chrono::milliseconds patience, std::function<void()> done) {
  timer_.reset();
  if (!connected_) return done();
  on_end_ = std::move(done);
  timer_ = loop_.After(patience, [this] {
    if (on_end_) std::exchange(on_end_, nullptr)();
  });
  reporter_.SayGoodbye();
}

Result<std::unique_ptr<ByteStream>> ConnectToFirst(Loop& loop,
                                                   const std::vector<std::string>& paths) {
  std::string troubles;
  for (const std::string& path : paths) {
    auto stream = ConnectLocal(loop, path);
    if (stream) return stream;
    troubles += fmt::format("{}{}", troubles.empty() ? "" : "; ", stream.error().message);
  }
  return Fail(ErrorCode::kUnavailable, "no agent is running: " + troubles);
}

}  // namespace fallow
