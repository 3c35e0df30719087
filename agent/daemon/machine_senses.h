// What the machine itself tells: power, heat, loads, network, programs.
//
// Nothing is read before it is asked for, and nothing more often than its period: loads and powers
// are means over the time since they were read before. A sensor may take its time, or hang: a file
// of a process in the kernel's hands, a driver that wakes its card. So sensors are read on another
// thread, one reading at a time, and nobody waits for them. Threading: the loop's thread.
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
#include "platform/loop.h"
#include "platform/network_cost.h"
#include "platform/power_profile.h"

namespace fallow {

class MachineSenses {
 public:
  static constexpr std::chrono::milliseconds kReadPeriod{900};
  static constexpr std::chrono::milliseconds kProgramsPeriod{5'000};
  // So long a reading stands: longer than the time between two looks at a machine that rests.
  static constexpr std::chrono::milliseconds kFreshFor{8'000};

  // Read on another thread, never two at once. A part that is null tells nothing.
  struct Sensors {
    std::unique_ptr<PowerSensor> power;
    std::unique_ptr<ThermalSensor> thermal;
    std::unique_ptr<GpuLoadSensor> gpu;
    std::unique_ptr<CpuLoadSensor> cpu;
    std::function<std::vector<std::string>()> programs;  // that run now
  };
  // Asked on the loop's thread: they remember what the system's services told last.
  struct Services {
    std::unique_ptr<PowerProfileSensor> power_profile;
    std::unique_ptr<NetworkCostSensor> network;
  };

  // `on_reading` is called after each reading. `loop` and `clock` must outlive it.
  MachineSenses(Loop& loop, const Clock& clock, Sensors sensors, Services services,
                std::function<void()> on_reading);
  ~MachineSenses();

  // Fills what the last reading told, if it stands, and begins another where one is due. A sensor
  // that keeps a reading from its end for kFreshFor is named in the notices. `own`: the processes
  // whose load is ours.
  void Read(const Settings& settings, std::span<const std::int64_t> own, Signals& into);

 private:
  struct Reading;
  struct Reader;

  bool IsDue(SteadyTime now, const std::vector<std::string>& programs) const;
  void Begin(SteadyTime now, const std::vector<std::string>& programs,
             std::span<const std::int64_t> own);
  void End(Reading reading);
  void FillFromServices(Signals& into);

  Loop& loop_;
  const Clock& clock_;
  Services services_;
  const std::function<void()> on_reading_;
  // Shared with the reading in progress, which may outlive us.
  std::shared_ptr<Reader> reader_;
  std::unique_ptr<Reading> last_;
  bool reading_ = false;
  std::optional<SteadyTime> begun_at_;
  std::optional<SteadyTime> programs_at_;
  std::vector<std::string> programs_wanted_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

// Of the wanted names those that run, in the order wanted. Capitals do not matter, nor does an
// ending ".exe".
std::vector<std::string> WantedPrograms(std::span<const std::string> wanted,
                                        std::span<const std::string> running);

}  // namespace fallow
