// Between DeviceProfile, DeviceStatus and their wire forms, with every check. Private to protocol/.
#pragma once

#include "base/result.h"
#include "protocol/agent_messages.h"

namespace fallow::wire {

class DeviceProfile;
class DeviceStatus;

void FromValue(const fallow::DeviceProfile& value, DeviceProfile& wire);
void FromValue(const fallow::DeviceStatus& value, DeviceStatus& wire);
Result<fallow::DeviceProfile> ToValue(DeviceProfile&& wire);
Result<fallow::DeviceStatus> ToValue(DeviceStatus&& wire);

}  // namespace fallow::wire
