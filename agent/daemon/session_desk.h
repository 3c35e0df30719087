// The daemon's side of the session helpers: what each login says of its owner's presence.
//
// A helper's word is taken only while it is fresh and plausible: one that falls silent, floods or
// contradicts itself becomes a reading of kind kDistrusted, which counts as use. A helper speaks
// for its own user alone. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/loop.h"
#include "platform/presence.h"
#include "platform/session_signals.h"
#include "platform/stream.h"

namespace fallow {

struct SessionDeskOptions {
  std::chrono::milliseconds stale_after{15'000};  // three heartbeats
  std::size_t max_helpers = 16;
  std::size_t max_messages_per_10_s = 100;
  // How long a misbehaving helper's session counts as used after its last word.
  std::chrono::milliseconds distrust_for{60'000};
};

class SessionDesk {
 public:
  // `on_change`: something came that a policy should look at now. `clock` and `loop` outlive it.
  SessionDesk(Loop& loop, const Clock& clock, SessionDeskOptions options,
              std::function<void()> on_change);
  ~SessionDesk();

  // A connection of a local process, whose user and process the system vouches for.
  void Accept(std::unique_ptr<ByteStream> stream, std::int64_t user_id, std::int64_t process_id);

  // While the machine works: helpers are to tell the next input at once, not at the next heartbeat.
  void WatchClosely(bool closely);

  std::vector<PresenceReading> presence()
      const;  // one a source of a helper, or why it is not taken
  std::vector<SessionSignal> signals() const;
  // When the input that a helper told at once was seen by it, on this machine's steady clock.
  std::optional<SteadyTime> last_input() const;

  struct HelperView {
    std::int64_t user_id = 0;
    std::int64_t process_id = 0;
    std::string session;  // logind's id, or empty
    std::chrono::milliseconds heard_ago{0};
    std::string trouble;  // why it is not believed; empty if it is
  };
  std::vector<HelperView> helpers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fallow
