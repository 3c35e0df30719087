// Where systemd-logind is on the system bus.
#pragma once

#include "platform/linux/bus.h"

namespace fallow {

inline BusObject LogindManager() {
  return {"org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"};
}

}  // namespace fallow
