// How hot the machine is.
//
// Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/sensor_folders.h"

namespace fallow {

enum class HeatedPart : std::uint8_t { kProcessor, kGpu };

struct Temperature {
  HeatedPart part = HeatedPart::kProcessor;
  std::string sensor;  // "k10temp Tctl", "amdgpu edge"
  double celsius = 0;
  std::optional<double> critical_celsius;

  bool operator==(const Temperature&) const = default;
};

// How hot, and how much power the processor draws where the system lets us read it (RAPL).
struct ThermalReading {
  std::vector<Temperature> temperatures;  // sensors that answered with a sane value (-20…150 °C)
  std::optional<double> processor_watts;  // over the time since the reading before
  std::vector<std::string> troubles;      // "hwmon2 (nouveau): cannot be read: …"

  bool operator==(const ThermalReading&) const = default;
};

class ThermalSensor {
 public:
  virtual ~ThermalSensor() = default;
  virtual ThermalReading Read() = 0;
};

// hwmon, thermal zones where hwmon says nothing of a part, RAPL. A graphics card that sleeps is not
// asked, for the question would wake it. `clock` must outlive the sensor.
std::unique_ptr<ThermalSensor> NewThermalSensor(const Clock& clock, SensorFolders folders = {});

}  // namespace fallow
