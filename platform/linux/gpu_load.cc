// Graphics cards: DRM's list of them, their connectors and counters (amdgpu has most), their
// clients' accounts, and NVIDIA's own library for NVIDIA's.
#include "platform/gpu_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "platform/linux/drm_fdinfo.h"
#include "platform/linux/gpu_shares.h"
#include "platform/linux/graphics_sleep.h"
#include "platform/linux/kernel_files.h"
#include "platform/linux/nvml.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxCards = 32;
constexpr int kReadingsBetweenScans = 60;
constexpr double kLowestCelsius = -20;
constexpr double kHighestCelsius = 150;
constexpr double kMaxWatts = 5000;

struct Card {
  std::string folder;       // "/sys/class/drm/card0"
  std::string name;         // "card0"
  std::string driver;       // "amdgpu"
  std::string pci_address;  // empty: no PCI device
  std::string hwmon;        // its sensors' folder; empty: none

  std::string device() const { return folder + "/device"; }
};

// "0000:01:00.0"
bool IsPciAddress(std::string_view name) {
  return name.size() == 12 && name[4] == ':' && name[7] == ':' && name[10] == '.';
}

// "card0", not a connector ("card0-DP-1") or another node ("renderD128").
bool IsCard(std::string_view name) {
  constexpr std::string_view kPrefix = "card";
  return name.starts_with(kPrefix) && ParseKernelNumber(name.substr(kPrefix.size())).has_value() &&
         name.find('-') == std::string_view::npos;
}

std::vector<Card> FindCards(const std::string& sys) {
  const std::string drm = sys + "/class/drm/";
  std::vector<Card> cards;
  for (const std::string& name : NamesIn(drm)) {
    if (!IsCard(name) || cards.size() == kMaxCards) continue;
    Card card{.folder = drm + name, .name = name};
    const auto driver = LinkTarget(card.device() + "/driver");
    card.driver = driver ? std::string(LastPart(*driver)) : "unknown";
    const auto device = LinkTarget(card.device());
    if (device && IsPciAddress(LastPart(*device))) card.pci_address = LastPart(*device);
    const auto sensors = NamesIn(card.device() + "/hwmon");
    if (!sensors.empty()) card.hwmon = card.device() + "/hwmon/" + sensors.front();
    cards.push_back(std::move(card));
  }
  return cards;
}

// A monitor is plugged in, whether or not it is on at the moment. The kernel tells from memory.
// NVIDIA's driver shows it no connectors unless it was told to (modeset), and drives them itself.
std::optional<bool> DrivesDisplay(const std::string& sys, const Card& card) {
  const std::string prefix = card.name + "-";
  bool any_connector = false;
  for (const std::string& name : NamesIn(sys + "/class/drm")) {
    if (!name.starts_with(prefix)) continue;
    any_connector = true;
    if (ReadKernelText(sys + "/class/drm/" + name + "/status", 64) == "connected") return true;
  }
  if (!any_connector && card.driver == "nvidia") return std::nullopt;
  return false;
}

std::optional<std::uint64_t> Bytes(const std::string& path) {
  const auto bytes = ReadKernelNumber(path);
  if (!bytes || *bytes < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

std::optional<double> Watts(const std::string& path) {
  const auto microwatts = ReadKernelNumber(path);
  if (!microwatts || *microwatts < 0) return std::nullopt;
  const double watts = static_cast<double>(*microwatts) / 1e6;
  return watts <= kMaxWatts ? std::optional(watts) : std::nullopt;
}

void ReadHwmon(const Card& card, GpuReading& reading) {
  if (card.hwmon.empty()) return;
  if (const auto milli = ReadKernelNumber(card.hwmon + "/temp1_input")) {
    const double celsius = static_cast<double>(*milli) / 1000;
    if (celsius >= kLowestCelsius && celsius <= kHighestCelsius) reading.celsius = celsius;
  }
  // Older chips give a mean, newer ones the moment's draw.
  reading.watts = Watts(card.hwmon + "/power1_average");
  if (!reading.watts) reading.watts = Watts(card.hwmon + "/power1_input");
  reading.watts_limit = Watts(card.hwmon + "/power1_cap");
  if (reading.watts_limit == 0) reading.watts_limit.reset();
}

void ReadCounters(const Card& card, GpuReading& reading) {
  const auto percent = ReadKernelNumber(card.device() + "/gpu_busy_percent");
  if (percent && *percent >= 0 && *percent <= 100) {
    reading.busy_share = static_cast<double>(*percent) / 100;
  }
  const auto total = Bytes(card.device() + "/mem_info_vram_total");
  const auto used = Bytes(card.device() + "/mem_info_vram_used");
  if (total && *total > 0) reading.memory_total_bytes = total;
  if (total && used && *used <= *total) reading.memory_used_bytes = used;
}

class LinuxGpuLoadSensor : public GpuLoadSensor {
 public:
  LinuxGpuLoadSensor(const Clock& clock, SensorFolders folders)
      : clock_(clock), folders_(std::move(folders)), clients_(folders_.proc), nvidia_(folders_) {}

  std::vector<GpuReading> Read(std::span<const std::int64_t> own) override {
    if (readings_until_scan_-- <= 0) {
      cards_ = FindCards(folders_.sys);
      readings_until_scan_ = kReadingsBetweenScans;
    }
    std::vector<GpuReading> readings = nvidia_.Read(own, clock_.Steady());
    const std::size_t nvidia_count = readings.size();
    // Without a card there is nothing to look for in processes.
    const bool any_accounts =
        std::ranges::any_of(cards_, [](const Card& card) { return card.driver != "nvidia"; });
    const DrmReading clients = any_accounts ? clients_.Read(own, clock_.Steady()) : DrmReading();
    for (const Card& card : cards_) {
      const auto nvidia_end = readings.begin() + static_cast<std::ptrdiff_t>(nvidia_count);
      const auto same = std::find_if(readings.begin(), nvidia_end, [&](const GpuReading& reading) {
        return !card.pci_address.empty() && reading.pci_address == card.pci_address;
      });
      if (same != nvidia_end) {
        const auto by_kernel = DrivesDisplay(folders_.sys, card);
        if (by_kernel == true || !same->drives_display) same->drives_display = by_kernel;
      } else {
        readings.push_back(ReadCard(card, clients));
      }
    }
    return readings;
  }

 private:
  GpuReading ReadCard(const Card& card, const DrmReading& clients) {
    GpuReading reading{.pci_address = card.pci_address,
                       .name = fmt::format("{} {}", card.driver, card.name),
                       .drives_display = DrivesDisplay(folders_.sys, card)};
    if (DeviceSleeps(card.device())) return reading;
    ReadCounters(card, reading);
    ReadHwmon(card, reading);
    const auto found = clients.cards.find(card.pci_address);
    DrmUse use = found != clients.cards.end() ? found->second : DrmUse{};
    if (use.accounted) accounted_.insert(card.pci_address);
    const bool accounted = accounted_.contains(card.pci_address);
    if (accounted && found == clients.cards.end()) {
      use.all_share = use.own_share = use.foreign_share = 0;  // its last client has left it
    }
    const GpuShares shares = JudgeShares({.counter = reading.busy_share,
                                          .use = use,
                                          .saw_all = clients.saw_all && accounted,
                                          .saw_ours = clients.saw_ours,
                                          .we_run = use.ours || !clients.saw_ours});
    reading.busy_share = shares.busy;
    reading.foreign_busy_share = shares.foreign;
    if (reading.memory_used_bytes && clients.saw_ours) {
      reading.foreign_memory_bytes =
          *reading.memory_used_bytes - std::min(*reading.memory_used_bytes, use.own_memory_bytes);
    }
    return reading;
  }

  const Clock& clock_;
  SensorFolders folders_;
  DrmClients clients_;
  NvidiaGpus nvidia_;
  std::vector<Card> cards_;
  std::set<std::string> accounted_;  // cards whose driver was seen to keep accounts
  int readings_until_scan_ = 0;
};

}  // namespace

std::unique_ptr<GpuLoadSensor> NewGpuLoadSensor(const Clock& clock, SensorFolders folders) {
  return std::make_unique<LinuxGpuLoadSensor>(clock, std::move(folders));
}

}  // namespace fallow
