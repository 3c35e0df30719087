// What others do with the processors and the memory of this machine.
//
// Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "platform/sensor_folders.h"

namespace fallow {

struct CpuReading {
  std::uint32_t processor_count = 0;
  // Processor time of everybody but us, over the time since the reading before (at least a tenth of
  // a second): 0 to 1 of all processors. Others' work at low priority counts, for the kernel does
  // not count it apart. None at the first, and where counters do not continue those of the reading
  // before: a processor was unplugged, one of our processes ended unseen.
  std::optional<double> foreign_share;
  // PSI "some" avg10, 0 to 1: somebody waited for a processor, or for memory. Our own processes
  // count there, so that the first says nothing while we compute on all processors.
  std::optional<double> pressure_share;
  std::optional<double> memory_pressure_share;
  std::uint64_t memory_total_bytes = 0;
  std::optional<std::uint64_t> memory_available_bytes;
  std::string trouble;  // what could not be read; empty if nothing

  bool operator==(const CpuReading&) const = default;
};

class CpuLoadSensor {
 public:
  virtual ~CpuLoadSensor() = default;
  // `own`: process ids whose work is ours; those that they start are ours too. With the daemon
  // among them, the end of a worker leaves no gap.
  virtual CpuReading Read(std::span<const std::int64_t> own) = 0;
};

// /proc/stat, /proc/pressure, /proc/meminfo. All tell about the machine, also inside a container.
std::unique_ptr<CpuLoadSensor> NewCpuLoadSensor(SensorFolders folders = {});

// Names of the programs that run now: what the process calls itself (cut to 15 bytes by the
// kernel), its first argument without folders ("Game.exe" under Wine too), its file's name where we
// may see it. Sorted, each once; without kernel threads. Looks at every process (some 10 µs each):
// for when something runs that must give way, not for a timer of an idle machine.
std::vector<std::string> RunningPrograms(const SensorFolders& folders = {});

}  // namespace fallow
