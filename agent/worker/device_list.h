// What `fallow-worker --list-devices` prints.
#pragma once

#include <string>

namespace fallow {

// A table for people: the CPU backend and each Vulkan device, with the reason why one cannot be
// used.
std::string DeviceTable();
// {"cpu": {"processor", "memory_bytes"}, "vulkan": [{"index", "name", "driver", "type",
// "memory_bytes", "pci_address", "unusable_reason"}], "vulkan_error": text|null}
std::string DeviceJson();

}  // namespace fallow
