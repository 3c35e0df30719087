// The daemon's commands, between the thread that reads the pipe and the thread that computes.
//
// Invariant: the control says stop from the moment a StopWork or the end of the input is put in
// until the computing thread takes it, so that a step under way ends at its next dispatch boundary.
// A SetPace counts at once and is never taken.
// Threading: Put and Close by the reading thread, the others by the computing one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "engine/backend.h"
#include "protocol/worker_messages.h"

namespace fallow {

class Inbox {
 public:
  // `clock` must outlive the inbox and be safe to read from both threads.
  explicit Inbox(const Clock& clock) : clock_(clock) {}

  void Put(ToWorker message);
  // Nothing more will come. `reason` is an error unless the daemon closed its end.
  void Close(Status reason);

  struct Command {
    ToWorker message;
    SteadyTime received_at;
  };
  enum class Wait : std::uint8_t { kNo, kYes };
  // The oldest command; none if there is none now (kNo) or there will be none (kYes).
  std::optional<Command> Take(Wait wait);

  // Set once the input has ended, whatever is still to be taken.
  std::optional<Status> end();

  const engine::StepControl& control() const { return control_; }

 private:
  const Clock& clock_;
  engine::StepControl control_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<Command> commands_;
  std::size_t waiting_stops_ = 0;
  std::optional<Status> end_;
};

}  // namespace fallow
