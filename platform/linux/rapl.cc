#include "platform/linux/rapl.h"

#include <chrono>

namespace fallow {
namespace {

// The usual range is 2^18 J, which 1,000 W use up in four minutes: within this time a counter goes
// round once at most, and one that was reset gives far more watts than a package can draw.
constexpr std::chrono::seconds kLongestInterval{60};
constexpr double kMaxPackageWatts = 1000;
constexpr std::size_t kMaxPackages = 16;

}  // namespace

PackagePower::PackagePower(const std::string& sys) {
  const std::string folder = sys + "/class/powercap";
  for (const std::string& name : NamesIn(folder)) {
    // "intel-rapl:0", for AMD too. Its parts ("intel-rapl:0:0") are within it, "intel-rapl-mmio:0"
    // counts the same energy again, "psys" is the whole board.
    constexpr std::string_view kPrefix = "intel-rapl:";
    if (!name.starts_with(kPrefix) || name.find(':', kPrefix.size()) != std::string::npos) continue;
    const std::string zone = folder + "/" + name;
    if (!ReadKernelText(zone + "/name").value_or("").starts_with("package")) continue;
    const auto range = ReadKernelNumber(zone + "/max_energy_range_uj");
    auto energy = KernelFile::Open(zone + "/energy_uj");
    if (!range || *range <= 0 || !energy || packages_.size() == kMaxPackages) continue;
    packages_.push_back({.energy = *std::move(energy), .range_uj = *range, .last_uj = {}});
  }
}

std::optional<double> PackagePower::Watts(SteadyTime now) {
  const auto interval = last_read_ ? now - *last_read_ : std::chrono::microseconds(0);
  last_read_ = now;
  const bool comparable = interval.count() > 0 && interval <= kLongestInterval;
  const double seconds = std::chrono::duration<double>(interval).count();
  bool complete = comparable && !packages_.empty();
  double watts = 0;
  for (Package& package : packages_) {
    const auto text = package.energy.Read();
    const auto energy = text ? ParseKernelNumber(*text) : std::nullopt;
    if (comparable && energy && package.last_uj) {
      std::int64_t used = *energy - *package.last_uj;
      if (used < 0) used += package.range_uj;
      const double package_watts = static_cast<double>(used) / 1e6 / seconds;
      complete = complete && used >= 0 && package_watts <= kMaxPackageWatts;
      watts += package_watts;
    } else {
      complete = false;
    }
    package.last_uj = energy;
  }
  if (!complete) return std::nullopt;
  return watts;
}

}  // namespace fallow
