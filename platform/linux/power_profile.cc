#include "platform/power_profile.h"

#include "platform/linux/service_watch.h"

namespace fallow {
namespace {

// Its name since power-profiles-daemon 0.20, and the one before, which Debian 12 has.
const BusObject kProfiles{"org.freedesktop.UPower.PowerProfiles",
                          "/org/freedesktop/UPower/PowerProfiles",
                          "org.freedesktop.UPower.PowerProfiles"};
const BusObject kOldProfiles{"net.hadess.PowerProfiles", "/net/hadess/PowerProfiles",
                             "net.hadess.PowerProfiles"};

Result<bool> AskPowerSaver(Bus& bus) {
  auto profile = bus.PropertyText(kProfiles, "ActiveProfile");
  if (!profile && profile.error().code != ErrorCode::kDeadlineExceeded)
    profile = bus.PropertyText(kOldProfiles, "ActiveProfile");
  if (!profile) return std::unexpected(std::move(profile).error());
  return *profile == "power-saver";
}

class BusPowerProfileSensor : public PowerProfileSensor {
 public:
  explicit BusPowerProfileSensor(Loop& loop)
      : saver_(loop, Bus::Which::kSystem, {{kProfiles, ""}, {kOldProfiles, ""}}, AskPowerSaver) {}

  std::optional<bool> PowerSaver() override {
    const auto saver = saver_.Get();
    return saver ? std::optional(*saver) : std::nullopt;
  }

 private:
  WatchedValue<bool> saver_;
};

}  // namespace

std::unique_ptr<PowerProfileSensor> NewPowerProfileSensor(Loop& loop) {
  return std::make_unique<BusPowerProfileSensor>(loop);
}

}  // namespace fallow
