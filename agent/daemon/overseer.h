// Looks, lets the policy decide, and acts: at every event, each second while work goes on, and
// every few seconds while it does not.
//
// The machine's own sensors are read only while work goes on, holds memory, or may begin soon: an
// owner at the keyboard pays for nothing but the look at presence, and one who comes back does not
// wait for the sensors either. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/daemon/machine_senses.h"
#include "agent/daemon/policy/policy_log.h"
#include "base/clock.h"
#include "platform/loop.h"

namespace fallow {

// The settings now, and why the file cannot be followed (empty if it can).
struct OwnersWord {
  const Settings& settings;
  const std::string& trouble;
};

class Overseer {
 public:
  static constexpr std::chrono::milliseconds kWorkingPeriod{1'000};
  static constexpr std::chrono::milliseconds kPausedPeriod{5'000};
  // So long before the owner counts as away the sensors begin to be read, for loads are means.
  static constexpr std::chrono::milliseconds kSensorLead{10'000};

  struct Surroundings {
    std::function<void(Signals&)> tell_presence;  // fills presence, session and notices
    std::function<std::vector<std::int64_t>()> own_processes;
    std::function<bool()> holds_memory;  // a model is in memory
    // While work goes on or may begin soon, the next input is to be told at once: by Look.
    std::function<void(bool closely)> watch_closely;
    std::function<void(const Decision&)> act;  // called with each decision; most say nothing new
    std::function<Moment()> now;
  };

  // All must outlive it.
  Overseer(Loop& loop, std::function<OwnersWord()> settings, MachineSenses& machine, PolicyLog& log,
           Surroundings surroundings);

  // Something happened, or may have.
  void Look();
  // The owner's `pause` and `resume`; the machine's sleep. Each looks at once. Its end counts as
  // input: sources do not count the time of the sleep, and who lifts a lid need not touch a key.
  // `by_root`: how much of the pause root said, where that is to be told.
  void PauseUntil(std::optional<WallTime> until, std::optional<WallTime> by_root = std::nullopt);
  void Suspend(bool suspending);
  // Decides no more.
  void End();

  // The last decision with all it was made of.
  const PolicyEntry& entry() const { return entry_; }

 private:
  void CountWakeAsInput(Signals& signals) const;
  bool MayBeginSoon(const Signals& signals) const;
  bool WantsSensors(const Signals& signals, bool soon) const;
  std::chrono::milliseconds UntilNextLook(bool soon) const;
  void Record();

  Loop& loop_;
  const std::function<OwnersWord()> settings_;
  MachineSenses& machine_;
  PolicyLog& log_;
  const Surroundings around_;

  std::optional<WallTime> paused_until_, paused_by_root_until_;
  bool suspending_ = false;
  std::optional<SteadyTime> woke_at_;  // from the last sleep
  bool ended_ = false;
  PolicyMemory memory_;
  PolicyEntry entry_;
  std::string log_trouble_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace fallow
