// Power supplies as the kernel lists them (Documentation/ABI/testing/sysfs-class-power).
//
// What goes wrong elsewhere and is minded here: the battery of a mouse or a controller is listed
// beside the machine's (scope Device); a UPS is no reason to save its charge as long as the mains
// feed it, and looks like a battery; laptops without their battery and desktops whose firmware
// invents one list a battery that is absent or knows nothing of itself; a charger too weak for the
// load lets the battery shrink though the mains are there; an adapter has any name.
#include "platform/power.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// More than any machine has, hubs and their ports included.
constexpr std::size_t kMaxSupplies = 64;

struct Battery {
  std::string name;
  std::string status;  // "Charging", "Discharging", "Not charging", "Full", "Unknown"
  std::optional<std::int64_t> charge_percent;
  double capacity = 0;  // of a full charge, in µWh or µAh; 0: unknown

  bool discharging() const { return status == "Discharging"; }
  // Its state is known.
  bool speaks() const { return !status.empty() && status != "Unknown"; }
};

struct Supplies {
  std::vector<Battery> batteries;  // the machine's own that are there
  bool external_known = false;     // there is an adapter that says whether it is plugged in
  bool external_online = false;
  std::string online_name;
};

std::string ReadWord(const std::string& path) {
  const auto text = ReadKernelText(path, 64);
  return text ? std::string(Trimmed(*text)) : std::string();
}

// Mains, and everything that is fed through a USB or wireless charger: "USB", "USB_C", "USB_PD", ….
bool IsExternal(std::string_view type) {
  return type == "Mains" || type == "Wireless" || type.starts_with("USB");
}

std::optional<std::int64_t> Percent(const std::string& folder) {
  const auto percent = ReadKernelNumber(folder + "/capacity");
  if (percent && *percent >= 0 && *percent <= 100) return percent;
  for (const std::string unit : {"energy", "charge"}) {
    const auto now = ReadKernelNumber(folder + "/" + unit + "_now");
    const auto full = ReadKernelNumber(folder + "/" + unit + "_full");
    if (now && full && *now >= 0 && *full > 0)
      return std::min<std::int64_t>(100, *now * 100 / *full);
  }
  return std::nullopt;
}

std::optional<Battery> ReadBattery(const std::string& folder, const std::string& name) {
  if (ReadKernelNumber(folder + "/present") == 0) return std::nullopt;
  Battery battery{.name = name, .status = ReadWord(folder + "/status"), .charge_percent = {}};
  battery.charge_percent = Percent(folder);
  // Unknown in state and charge: the firmware made it up.
  if (!battery.speaks() && !battery.charge_percent) return std::nullopt;
  for (const char* file : {"/energy_full", "/charge_full"}) {
    const auto full = ReadKernelNumber(folder + file);
    if (!full || *full <= 0) continue;
    battery.capacity = static_cast<double>(*full);
    break;
  }
  return battery;
}

Supplies ReadSupplies(const std::string& class_folder) {
  Supplies supplies;
  std::size_t seen = 0;
  for (const std::string& name : NamesIn(class_folder)) {
    if (++seen > kMaxSupplies) break;
    const std::string folder = class_folder + "/" + name;
    if (ReadWord(folder + "/scope") == "Device") continue;
    const std::string type = ReadWord(folder + "/type");
    if (type == "Battery") {
      if (auto battery = ReadBattery(folder, name)) {
        supplies.batteries.push_back(*std::move(battery));
      }
    } else if (IsExternal(type)) {
      const auto online = ReadKernelNumber(folder + "/online");
      if (!online) continue;
      // A USB port that nothing feeds says nothing: the machine may have another way in.
      supplies.external_known = supplies.external_known || type == "Mains" || *online != 0;
      if (*online != 0 && !supplies.external_online) {
        supplies.external_online = true;
        supplies.online_name = name;
      }
    }
  }
  return supplies;
}

// The mean of all batteries, each by its size where all tell theirs.
std::optional<int> ChargePercent(const std::vector<Battery>& batteries) {
  const bool weighted =
      std::ranges::all_of(batteries, [](const Battery& battery) { return battery.capacity > 0; });
  double sum = 0;
  double weights = 0;
  for (const Battery& battery : batteries) {
    if (!battery.charge_percent) continue;
    const double weight = weighted ? battery.capacity : 1;
    sum += weight * static_cast<double>(*battery.charge_percent);
    weights += weight;
  }
  if (weights <= 0) return std::nullopt;
  return static_cast<int>(sum / weights + 0.5);
}

void Judge(const Supplies& supplies, PowerReading& reading) {
  if (supplies.batteries.empty()) {
    reading.detail = "no battery of the machine's own";
    return;
  }
  const auto discharging = std::ranges::find_if(supplies.batteries, &Battery::discharging);
  const bool any_discharges = discharging != supplies.batteries.end();
  const bool any_speaks = std::ranges::any_of(supplies.batteries, &Battery::speaks);
  if (supplies.external_online) {
    reading.on_battery = false;
    reading.detail = any_discharges ? fmt::format("{} discharging though {} is online",
                                                  discharging->name, supplies.online_name)
                                    : supplies.online_name + " online";
  } else if (any_discharges) {
    reading.on_battery = true;
    reading.detail = discharging->name + " discharging";
  } else if (any_speaks) {
    const auto speaking = std::ranges::find_if(supplies.batteries, &Battery::speaks);
    reading.on_battery = false;
    reading.detail = fmt::format("{}: {}", speaking->name, speaking->status);
  } else if (supplies.external_known) {
    // It has a charge, and the mains are off: nothing else can feed the machine.
    reading.on_battery = true;
    reading.detail = supplies.batteries.front().name + " in an unknown state, mains offline";
  } else {
    reading.detail = supplies.batteries.front().name + " in an unknown state";
  }
}

class KernelPowerSensor : public PowerSensor {
 public:
  explicit KernelPowerSensor(SensorFolders folders) : folders_(std::move(folders)) {}

  PowerReading Read() override {
    PowerReading reading;
    const Supplies supplies = ReadSupplies(folders_.sys + "/class/power_supply");
    Judge(supplies, reading);
    reading.charge_percent = ChargePercent(supplies.batteries);
    const std::string profile = ReadWord(folders_.sys + "/firmware/acpi/platform_profile");
    if (!profile.empty()) reading.power_saver = profile == "low-power";
    return reading;
  }

 private:
  SensorFolders folders_;
};

}  // namespace

std::unique_ptr<PowerSensor> NewPowerSensor(SensorFolders folders) {
  return std::make_unique<KernelPowerSensor>(std::move(folders));
}

}  // namespace fallow
