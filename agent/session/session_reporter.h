// Reports what a login's sources say to the agent's daemon: every 5 s, and at once when a session
// signal changes or, while the daemon watches closely, when there is input.
//
// Between reports it sleeps: no timer shorter than the heartbeat runs unless the daemon watches
// closely or something has just been told at once. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/loop.h"
#include "platform/presence.h"
#include "platform/session_signals.h"
#include "platform/source_set.h"
#include "platform/stream.h"
#include "protocol/session_messages.h"

namespace fallow {

struct SessionReporterOptions {
  std::chrono::milliseconds heartbeat{5'000};
  // The least time between two reports that were not due: at most four a second.
  std::chrono::milliseconds urgent_gap{250};
  // While watched closely: how often sources are read that cannot wait for input.
  std::chrono::milliseconds poll_period{250};
  // Called after a heartbeat while the daemon does not watch closely: nothing is to do until the
  // next. Null: nothing is called.
  std::function<void()> at_rest;
};

class SessionReporter {
 public:
  using PresenceSet = SourceSet<PresenceSource>;
  using SignalSet = SourceSet<SessionSignalSource>;

  // `loop` and `clock` outlive it. No source is opened before it is attached.
  SessionReporter(Loop& loop, const Clock& clock, SessionHello hello,
                  std::vector<PresenceSet::Kind> presence, std::vector<SignalSet::Kind> signals,
                  SessionReporterOptions options = {});
  ~SessionReporter();
  SessionReporter(const SessionReporter&) = delete;
  SessionReporter& operator=(const SessionReporter&) = delete;

  // Introduces the login to the daemon at the other end of `daemon` and reports to it from now on.
  // `on_lost` is called once, with the reason, when that ends; it may attach another.
  void Attach(std::unique_ptr<ByteStream> daemon, std::function<void(const std::string&)> on_lost);
  // The login ends: tells the daemon, which hangs up (on_lost).
  void SayGoodbye();

 private:
  using OnLost = std::function<void(const std::string&)>;

  void OnData(ByteView bytes);
  void Lose(const std::string& why);
  void Send(const FromSession& message);
  void WatchClosely(bool closely);
  // Lets sources call at the next input, and polls those that cannot.
  void AwaitInput();
  void AwaitInputOf(std::size_t place, PresenceSource& source);
  void Poll();

  // False once goodbye was said or the daemon was lost.
  bool reporting() const { return heartbeat_timer_ != nullptr; }
  void Heartbeat();
  void ReadAndReport(std::optional<SteadyTime> seen_input_at);
  void KeepToToldInput();
  // Without asking any source: `place` saw input just now, and that is all that counts.
  void ReportInput(std::size_t place);
  void OnSignalChange();
  // Something is to be told: now, or when the gap since the last urgent report is over.
  void TellSoon();
  void OnGapOver();

  Loop& loop_;
  const Clock& clock_;
  const SessionHello hello_;
  const SessionReporterOptions options_;
  PresenceSet presence_;
  SignalSet signals_;

  std::unique_ptr<ByteStream> daemon_;
  OnLost on_lost_;
  std::optional<FrameReader> reader_;
  SessionReport last_;  // what was told last
  std::map<std::size_t, SteadyTime>
      told_input_;  // by place: the last that was told without reading
  bool closely_ = false;
  std::vector<std::size_t> polled_;          // places of sources that cannot wait for input
  bool to_tell_ = false;                     // something waits for the gap's end
  std::optional<SteadyTime> to_tell_input_;  // input that waits for it
  std::unique_ptr<Timer> heartbeat_timer_, poll_timer_, gap_timer_;
  // Posted calls look here before they touch the reporter.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
