// Keeps a session reporter connected to the agent's daemon: tries again, ever more seldom, while
// nobody is there.
//
// Threading: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/session/session_reporter.h"
#include "base/clock.h"
#include "base/result.h"
#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

struct DaemonLinkOptions {
  // The first wait; each next is twice as long, up to the last.
  std::chrono::milliseconds first_retry{5'000};
  std::chrono::milliseconds max_retry{30'000};
};

class DaemonLink {
 public:
  using Connect = std::function<Result<std::unique_ptr<ByteStream>>()>;

  // All must outlive it.
  DaemonLink(Loop& loop, const Clock& clock, SessionReporter& reporter, Connect connect,
             DaemonLinkOptions options = {});

  void Start();
  // Says goodbye and calls `done` when the daemon has heard it, or after `patience`. Nothing is
  // tried any more.
  void End(std::chrono::milliseconds patience, std::function<void()> done);

 private:
  void TryToConnect();
  void OnLost(const std::string& why);
  void TryAgainLater(const std::string& why);

  Loop& loop_;
  const Clock& clock_;
  SessionReporter& reporter_;
  const Connect connect_;
  const DaemonLinkOptions options_;
  std::chrono::milliseconds next_retry_;
  SteadyTime connected_at_;
  bool connected_ = false;
  std::string said_;  // the trouble that was logged last
  std::function<void()> on_end_;
  std::unique_ptr<Timer> timer_;
};

// Connects to the first of `paths` at which somebody serves; kUnavailable, with all of them, if
// nobody does.
Result<std::unique_ptr<ByteStream>> ConnectToFirst(Loop& loop,
                                                   const std::vector<std::string>& paths);

}  // namespace fallow
