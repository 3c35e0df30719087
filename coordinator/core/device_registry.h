// The devices: enrolment by join token, and what each last said of itself.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/event_bus.h"
#include "coordinator/store/store.h"

namespace fallow {

class DeviceRegistry : public DeviceService {
 public:
  DeviceRegistry(Store& store, const Clock& clock, Random& random, LocalEventBus& events)
      : store_(store), clock_(clock), random_(random), events_(events) {}

  Result<std::string> JoinToken() override;
  Result<std::string> RotateJoinToken() override;
  Result<Device> Enroll(const EnrollRequest& request) override;
  Result<std::optional<Device>> Find(const DeviceId& id) override { return store_.FindDevice(id); }
  Result<std::vector<Device>> List() override { return store_.Devices(); }
  Status Remove(const DeviceId& id) override;
  Status SetStatus(const DeviceId& id, const DeviceStatus& status) override;

  // Notes that the device was heard; `profile` null: as before. kNotFound.
  Result<Device> Heard(const DeviceId& id, const DeviceStatus& status,
                       const DeviceProfile* profile);

 private:
  Store& store_;
  const Clock& clock_;
  Random& random_;
  LocalEventBus& events_;
};

}  // namespace fallow
