// Temperatures by hwmon (Documentation/hwmon/sysfs-interface) and, for a part of which hwmon says
// nothing, by thermal zones.
//
// Which part a sensor measures is told by its driver's name. Disks, batteries, network cards and
// firmware zones ("acpitz", which on many boards is a constant) are nobody's ceiling.
#include "platform/thermals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "base/utf8.h"
#include "platform/linux/graphics_sleep.h"
#include "platform/linux/kernel_files.h"
#include "platform/linux/rapl.h"

namespace fallow {
namespace {

constexpr double kLowestCelsius = -20;
constexpr double kHighestCelsius = 150;
// A critical temperature below this is a driver's way to say that it knows none.
constexpr double kLowestCriticalCelsius = 40;
// Two processors of 64 cores, each core with a sensor of its own.
constexpr std::size_t kMaxSensors = 128;
constexpr std::size_t kMaxTroubles = 32;
// Drivers come and go (a card is plugged in, a module loaded); a folder listing is cheap, but not
// free.
constexpr int kReadingsBetweenScans = 60;
constexpr int kReadingsUntilScanAfterFailure = 4;

struct Driver {
  std::string_view name;
  HeatedPart part;
};
constexpr std::array kDrivers{
    Driver{"coretemp", HeatedPart::kProcessor},
    Driver{"k10temp", HeatedPart::kProcessor},
    Driver{"k8temp", HeatedPart::kProcessor},
    Driver{"zenpower", HeatedPart::kProcessor},
    Driver{"cpu_thermal", HeatedPart::kProcessor},
    Driver{"via_cputemp", HeatedPart::kProcessor},
    Driver{"amdgpu", HeatedPart::kGpu},
    Driver{"radeon", HeatedPart::kGpu},
    Driver{"nouveau", HeatedPart::kGpu},
    Driver{"i915", HeatedPart::kGpu},
    Driver{"xe", HeatedPart::kGpu},
};

struct Sensor {
  HeatedPart part;
  std::string driver;
  std::string label;   // empty: the driver names none
  std::string place;   // "hwmon2"
  std::string device;  // its folder in sysfs; empty: it never sleeps
  KernelFile input;
  std::optional<double> critical_celsius;

  std::string name() const { return label.empty() ? driver : driver + " " + label; }
};

std::optional<double> Celsius(std::optional<std::int64_t> milli) {
  if (!milli) return std::nullopt;
  return static_cast<double>(*milli) / 1000;
}

std::optional<double> Critical(std::optional<double> celsius) {
  const bool sane = celsius && *celsius >= kLowestCriticalCelsius && *celsius <= kHighestCelsius;
  return sane ? celsius : std::nullopt;
}

// "temp12_input" -> "temp12"; empty if it is not a temperature.
std::string_view TemperatureChannel(std::string_view file) {
  constexpr std::string_view kEnd = "_input";
  if (!file.starts_with("temp") || !file.ends_with(kEnd)) return {};
  return file.substr(0, file.size() - kEnd.size());
}

// Of several sensors of one driver, those that speak for the part: a package stands for its cores,
// and the die's temperature is the true one where Tctl has an offset added for the fans.
void KeepWhatSpeaksForThePart(std::vector<Sensor>& sensors) {
  const auto any = [&](auto holds) { return std::ranges::any_of(sensors, holds); };
  const auto is_package = [](const Sensor& s) { return s.label.starts_with("Package id"); };
  const auto is_die = [](const Sensor& s) { return s.label == "Tdie"; };
  const auto is_control = [](const Sensor& s) { return s.label == "Tctl"; };
  if (any(is_package)) {
    std::erase_if(sensors, std::not_fn(is_package));
  } else if (any(is_die)) {
    std::erase_if(sensors, std::not_fn(is_die));
  } else if (any(is_control)) {
    std::erase_if(sensors, std::not_fn(is_control));
  }
}

// Finds the sensors of a machine and opens their files.
class SensorScan {
 public:
  SensorScan(const std::string& sys, std::vector<std::string>& troubles)
      : sys_(sys), troubles_(troubles) {}

  std::vector<Sensor> Find() {
    for (const std::string& name : NamesIn(sys_ + "/class/hwmon")) ScanHwmon(name);
    const bool processor_known = Has(HeatedPart::kProcessor);
    const bool gpu_known = Has(HeatedPart::kGpu);
    for (const std::string& name : NamesIn(sys_ + "/class/thermal")) {
      if (name.starts_with("thermal_zone")) ScanZone(name, processor_known, gpu_known);
    }
    return std::move(found_);
  }

 private:
  bool Has(HeatedPart part) const {
    return std::ranges::any_of(found_, [&](const Sensor& s) { return s.part == part; });
  }

  void ScanHwmon(const std::string& place) {
    const std::string folder = sys_ + "/class/hwmon/" + place;
    const std::string driver = ReadKernelText(folder + "/name", 64).value_or("");
    const auto known = std::ranges::find(kDrivers, driver, &Driver::name);
    if (known == kDrivers.end()) return;
    std::vector<Sensor> sensors;
    for (const std::string& file : NamesIn(folder)) {
      const std::string_view channel = TemperatureChannel(file);
      if (channel.empty()) continue;
      const std::string base = fmt::format("{}/{}", folder, channel);
      if (!Add(sensors, known->part, driver, ReadKernelText(base + "_label", 64).value_or(""),
               place, base + "_input")) {
        continue;
      }
      sensors.back().critical_celsius = Critical(Celsius(ReadKernelNumber(base + "_crit")));
      if (known->part == HeatedPart::kGpu) sensors.back().device = folder + "/device";
    }
    KeepWhatSpeaksForThePart(sensors);
    std::ranges::move(sensors, std::back_inserter(found_));
  }

  void ScanZone(const std::string& place, bool processor_known, bool gpu_known) {
    const std::string folder = sys_ + "/class/thermal/" + place;
    const std::string type = ReadKernelText(folder + "/type", 64).value_or("");
    const bool processor = type == "x86_pkg_temp" || type.starts_with("cpu") ||
                           type == "soc-thermal" || type == "soc_thermal";
    const bool gpu = type.starts_with("gpu");
    if ((!processor || processor_known) && (!gpu || gpu_known)) return;
    std::vector<Sensor> sensors;
    Add(sensors, processor ? HeatedPart::kProcessor : HeatedPart::kGpu, type, "", place,
        folder + "/temp");
    for (Sensor& sensor : sensors) {
      sensor.critical_celsius = ZoneCritical(folder);
      found_.push_back(std::move(sensor));
    }
  }

  static std::optional<double> ZoneCritical(const std::string& folder) {
    constexpr int kMaxTripPoints = 16;
    for (int i = 0; i < kMaxTripPoints; ++i) {
      const std::string trip = fmt::format("{}/trip_point_{}_", folder, i);
      const auto type = ReadKernelText(trip + "type", 64);
      if (!type) break;
      if (*type == "critical") return Critical(Celsius(ReadKernelNumber(trip + "temp")));
    }
    return std::nullopt;
  }

  bool Add(std::vector<Sensor>& sensors, HeatedPart part, const std::string& driver,
           std::string label, const std::string& place, const std::string& path) {
    if (found_.size() + sensors.size() >= kMaxSensors) return false;
    auto input = KernelFile::Open(path);
    if (!input) {
      troubles_.push_back(fmt::format("{} ({}): {}", place, driver, input.error().message));
      return false;
    }
    sensors.push_back({.part = part,
                       .driver = driver,
                       .label = std::move(label),
                       .place = place,
                       .device = {},
                       .input = *std::move(input),
                       .critical_celsius = {}});
    return true;
  }

  const std::string& sys_;
  std::vector<std::string>& troubles_;
  std::vector<Sensor> found_;
};

class KernelThermalSensor : public ThermalSensor {
 public:
  KernelThermalSensor(const Clock& clock, SensorFolders folders)
      : clock_(clock), folders_(std::move(folders)), package_power_(folders_.sys) {}

  ThermalReading Read() override {
    ThermalReading reading;
    if (readings_until_scan_-- <= 0) {
      scan_troubles_.clear();
      sensors_ = SensorScan(folders_.sys, scan_troubles_).Find();
      readings_until_scan_ = kReadingsBetweenScans;
    }
    reading.troubles = scan_troubles_;
    for (const Sensor& sensor : sensors_) ReadSensor(sensor, reading);
    if (reading.troubles.size() > kMaxTroubles) reading.troubles.resize(kMaxTroubles);
    reading.processor_watts = package_power_.Watts(clock_.Steady());
    return reading;
  }

 private:
  void ReadSensor(const Sensor& sensor, ThermalReading& reading) {
    if (!sensor.device.empty() && DeviceSleeps(sensor.device)) return;
    const auto text = sensor.input.Read();
    const auto celsius = text ? Celsius(ParseKernelNumber(*text)) : std::nullopt;
    if (celsius && *celsius >= kLowestCelsius && *celsius <= kHighestCelsius) {
      reading.temperatures.push_back({.part = sensor.part,
                                      .sensor = sensor.name(),
                                      .celsius = *celsius,
                                      .critical_celsius = sensor.critical_celsius});
      return;
    }
    std::string reason;
    if (!text) {
      // Its driver may be back under another number.
      readings_until_scan_ = std::min(readings_until_scan_, kReadingsUntilScanAfterFailure);
      reason = text.error().message;
    } else if (celsius) {
      reason = fmt::format("says {:.1f} °C, which is outside {:.0f} to {:.0f}", *celsius,
                           kLowestCelsius, kHighestCelsius);
    } else {
      reason = fmt::format("says '{}', which is no number", ToValidUtf8(*text, 20));
    }
    reading.troubles.push_back(fmt::format("{} ({}): {}", sensor.place, sensor.name(), reason));
  }

  const Clock& clock_;
  SensorFolders folders_;
  PackagePower package_power_;
  std::vector<Sensor> sensors_;
  std::vector<std::string> scan_troubles_;
  int readings_until_scan_ = 0;
};

}  // namespace

std::unique_ptr<ThermalSensor> NewThermalSensor(const Clock& clock, SensorFolders folders) {
  return std::make_unique<KernelThermalSensor>(clock, std::move(folders));
}

}  // namespace fallow
