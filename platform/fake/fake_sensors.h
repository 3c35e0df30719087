// Sensors that say what the test wants.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "platform/cpu_load.h"
#include "platform/gpu_load.h"
#include "platform/power.h"
#include "platform/thermals.h"

namespace fallow {

// Each counts how often it was asked, for what a sensor costs is paid by the machine's owner.
class FakePowerSensor : public PowerSensor {
 public:
  PowerReading Read() override {
    ++reads;
    return reading;
  }

  PowerReading reading;
  int reads = 0;
};

class FakeThermalSensor : public ThermalSensor {
 public:
  ThermalReading Read() override {
    ++reads;
    return reading;
  }

  ThermalReading reading;
  int reads = 0;
};

class FakeGpuLoadSensor : public GpuLoadSensor {
 public:
  std::vector<GpuReading> Read(std::span<const std::int64_t> own_processes) override {
    ++reads;
    own.assign(own_processes.begin(), own_processes.end());
    return readings;
  }

  std::vector<GpuReading> readings;
  std::vector<std::int64_t> own;  // as last asked
  int reads = 0;
};

class FakeCpuLoadSensor : public CpuLoadSensor {
 public:
  CpuReading Read(std::span<const std::int64_t> own_processes) override {
    ++reads;
    own.assign(own_processes.begin(), own_processes.end());
    return reading;
  }

  CpuReading reading;
  std::vector<std::int64_t> own;  // as last asked
  int reads = 0;
};

}  // namespace fallow
