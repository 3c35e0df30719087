// What the machine itself tells: power, heat, loads, network, programs.
//
// Nothing is read before it is asked for, and nothing more often than its period: loads and powers
// are means over the time since they were read before. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/daemon/policy/settings.h"
#include "agent/daemon/policy/signals.h"
#include "base/clock.h"
#include "platform/network_cost.h"
#include "platform/power_profile.h"

namespace fallow {

class MachineSenses {
 public:
  static constexpr std::chrono::milliseconds kReadPeriod{900};
  static constexpr std::chrono::milliseconds kProgramsPeriod{5'000};

  // A part that is null tells nothing.
  struct Parts {
    std::unique_ptr<PowerSensor> power;
    std::unique_ptr<PowerProfileSensor> power_profile;
    std::unique_ptr<ThermalSensor> thermal;
    std::unique_ptr<GpuLoadSensor> gpu;
    std::unique_ptr<CpuLoadSensor> cpu;
    std::unique_ptr<NetworkCostSensor> network;
    std::function<std::vector<std::string>()> programs;  // that run now
  };

  // `clock` must outlive it.
  MachineSenses(const Clock& clock, Parts parts) : clock_(clock), parts_(std::move(parts)) {}

  // Fills what the machine tells. `own`: the processes whose load is ours.
  void Read(const Settings& settings, std::span<const std::int64_t> own, Signals& into);

 private:
  void ReadSensors(std::span<const std::int64_t> own);
  void ReadPrograms(const std::vector<std::string>& wanted);

  const Clock& clock_;
  Parts parts_;
  Signals last_;  // of it only the machine's part
  std::optional<SteadyTime> read_at_;
  std::optional<SteadyTime> programs_at_;
  std::vector<std::string> programs_wanted_;
};

// Of the wanted names those that run, in the order wanted. Capitals do not matter, nor does an
// ending ".exe".
std::vector<std::string> WantedPrograms(std::span<const std::string> wanted,
                                        std::span<const std::string> running);

}  // namespace fallow
