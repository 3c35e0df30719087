#include "platform/network_cost.h"

#include "platform/linux/service_watch.h"

namespace fallow {
namespace {

const BusObject kManager{"org.freedesktop.NetworkManager", "/org/freedesktop/NetworkManager",
                         "org.freedesktop.NetworkManager"};

// NetworkManager's NMMetered.
enum Metered : std::uint32_t { kUnknown = 0, kYes = 1, kNo = 2, kGuessYes = 3, kGuessNo = 4 };

Result<std::optional<bool>> AskMetered(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const std::uint32_t metered, bus.PropertyU32(kManager, "Metered"));
  if (metered == kYes || metered == kGuessYes) return true;
  if (metered == kNo || metered == kGuessNo) return false;
  return std::nullopt;
}

class NetworkManagerCostSensor : public NetworkCostSensor {
 public:
  explicit NetworkManagerCostSensor(Loop& loop)
      : metered_(loop, Bus::Which::kSystem, {{kManager, ""}}, AskMetered) {}

  std::optional<bool> Metered() override {
    const auto metered = metered_.Get();
    return metered ? *metered : std::nullopt;
  }

 private:
  WatchedValue<std::optional<bool>> metered_;
};

}  // namespace

std::unique_ptr<NetworkCostSensor> NewNetworkCostSensor(Loop& loop) {
  return std::make_unique<NetworkManagerCostSensor>(loop);
}

}  // namespace fallow
