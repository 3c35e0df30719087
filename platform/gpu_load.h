// What others do with the GPUs of this machine.
//
// Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/sensor_folders.h"

namespace fallow {

// Shares are of one GPU, 0 to 1, over the time since the reading before; none where nothing tells.
struct GpuReading {
  std::string pci_address;             // "0000:01:00.0"; empty if it has none
  std::string name;                    // "amdgpu card0", "NVIDIA GeForce RTX 4070"
  std::optional<bool> drives_display;  // none: it may
  std::optional<double> busy_share;
  std::optional<double> foreign_busy_share;  // without our own processes
  std::optional<std::uint64_t> memory_total_bytes;
  std::optional<std::uint64_t> memory_used_bytes;
  std::optional<std::uint64_t> foreign_memory_bytes;
  std::optional<double> celsius;
  std::optional<double> watts;
  std::optional<double> watts_limit;

  bool operator==(const GpuReading&) const = default;
};

class GpuLoadSensor {
 public:
  virtual ~GpuLoadSensor() = default;
  // `own`: process ids whose work is ours, the workers'; the daemon's own does not matter here.
  virtual std::vector<GpuReading> Read(std::span<const std::int64_t> own) = 0;
};

// DRM: fdinfo per client (other users' processes only where we may), amdgpu's counters, connectors;
// NVIDIA: its management library, opened at run time.
//
// `foreign_busy_share` is none where we run on the GPU and nothing tells our part from the others',
// and where we may not look into others' processes and see nothing. A card that sleeps is left
// asleep and reported with its name alone; what is said of an idle NVIDIA card may be 20 s old
// while we do not run. `clock` must outlive the sensor.
std::unique_ptr<GpuLoadSensor> NewGpuLoadSensor(const Clock& clock, SensorFolders folders = {});

}  // namespace fallow
