// What others do with the processors and the memory of this machine.
//
// Threading: one thread.
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
  // Processor time of everybody but us (idle priority and our own processes left out), over the
  // time since the reading before: 0 to 1 of all processors. None at the first.
  std::optional<double> foreign_share;
  std::optional<double> pressure_share;         // PSI cpu "some" avg10: 0 to 1
  std::optional<double> memory_pressure_share;  // PSI memory "some" avg10: 0 to 1
  std::uint64_t memory_total_bytes = 0;
  std::optional<std::uint64_t> memory_available_bytes;
  std::string trouble;  // what could not be read; empty if nothing

  bool operator==(const CpuReading&) const = default;
};

class CpuLoadSensor {
 public:
  virtual ~CpuLoadSensor() = default;
  virtual CpuReading Read(std::span<const std::int64_t> own) = 0;
};
std::unique_ptr<CpuLoadSensor> NewCpuLoadSensor(SensorFolders folders = {});

// Names of the programs that run now (the file's name, or what the process calls itself), sorted,
// each once.
std::vector<std::string> RunningPrograms(const SensorFolders& folders = {});

}  // namespace fallow
