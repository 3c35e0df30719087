// The source of NewEvdevPresenceSource with its seam for tests. For files of platform/linux alone.
#pragma once

#include <memory>

#include "base/result.h"
#include "platform/linux/input_device.h"
#include "platform/loop.h"
#include "platform/presence.h"

namespace fallow {

// `probe` is asked about each file named event* of the folder. What it calls a device is read as
// one: a stream of input_event.
Result<std::unique_ptr<PresenceSource>> OpenEvdevSource(Loop& loop, EvdevOptions options,
                                                        InputProbe probe);

}  // namespace fallow
