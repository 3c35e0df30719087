// The daemon's side of the session helpers: what each login says of its owner's presence.
//
// A helper's word is taken only while it is fresh and plausible: one that falls silent, floods or
// contradicts itself becomes a reading of kind kDistrusted, which counts as use. So does, for a
// while, one that vanished without a farewell or found no place here. A helper speaks for its own
// user alone: its claim that nobody is there takes nothing from the readings of others.
//
// Only the steady clock counts. Threading: the loop's thread.
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
#include "platform/system.h"

namespace fallow {

struct SessionDeskOptions {
  std::chrono::milliseconds stale_after{15'000};  // three heartbeats
  std::size_t max_helpers = 16;
  std::size_t max_helpers_per_user = 4;
  std::size_t max_messages_per_10_s = 100;
  // How long a misbehaving helper's session counts as used after its last word. As long no other
  // helper of that user is let in.
  std::chrono::milliseconds distrust_for{60'000};
  std::function<std::string(std::int64_t user_id)> user_name = UserName;
};

class SessionDesk {
 public:
  // `on_change`: something came that a policy should look at now; it may not destroy the desk.
  // `clock` and `loop` outlive it.
  SessionDesk(Loop& loop, const Clock& clock, SessionDeskOptions options,
              std::function<void()> on_change);
  ~SessionDesk();

  // A connection of a local process, whose user and process the system vouches for.
  void Accept(std::unique_ptr<ByteStream> stream, std::int64_t user_id, std::int64_t process_id);

  // The process is ended by us: that it goes without a farewell tells nothing. What else is held
  // against its login counts on.
  void Dismiss(std::int64_t process_id);

  // While the machine works: helpers are to tell the next input at once, not at the next heartbeat.
  void WatchClosely(bool closely);

  // One a source of a helper ("x11 :0 (anna)"), or why the helper is not believed. Idle times are
  // as they were told: they do not grow between reports, for nobody looked.
  std::vector<PresenceReading> presence() const;
  std::vector<SessionSignal> signals() const;
  // When the last input that a helper told at once was seen by it, or else came here if that was
  // more than 2 s before.
  std::optional<SteadyTime> last_input() const;

  struct HelperView {
    std::int64_t user_id = 0;
    std::int64_t process_id = 0;
    std::string user;     // by name
    std::string session;  // logind's id, or empty
    std::chrono::milliseconds heard_ago{0};
    std::string trouble;  // why it is not believed; empty if it is
    // Its last report is believed, and a source in it tells of keyboards, mice and the like.
    bool sees_input = false;

    // Whether that of a login (as logind knows it) is among it.
    bool SeesInputOf(const std::string& login, std::int64_t of_user, LoginKind kind) const;
  };
  std::vector<HelperView> helpers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fallow
