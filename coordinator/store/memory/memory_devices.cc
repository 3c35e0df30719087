#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "coordinator/store/memory/memory_store_internal.h"

namespace fallow::memory {

Result<Device> MemoryStore::EnrollDevice(const Device& device) {
  for (Device& known : devices_) {
    if (known.public_key != device.public_key) continue;
    known.profile = device.profile;
    known.last_seen_at = device.last_seen_at;
    return known;
  }
  devices_.push_back(device);
  return device;
}

Result<std::optional<Device>> MemoryStore::FindDevice(const DeviceId& id) {
  const Device* device = DeviceOf(id);
  if (device == nullptr) return std::nullopt;
  return *device;
}

Result<std::vector<Device>> MemoryStore::Devices() {
  return devices_;
}

Result<std::vector<EndedLease>> MemoryStore::RemoveDevice(const DeviceId& id, WallTime) {
  if (DeviceOf(id) == nullptr) return None("device", id.value);
  std::erase_if(devices_, [&](const Device& device) { return device.id == id; });
  return EndLeasesWhere([&](const Lease& lease) { return lease.device == id; });
}

Status MemoryStore::UpdateDevice(const DeviceId& id, const DeviceProfile& profile,
                                 const DeviceStatus& status, WallTime last_seen_at) {
  Device* device = DeviceOf(id);
  if (device == nullptr) return None("device", id.value);
  device->profile = profile;
  device->status = status;
  device->last_seen_at = last_seen_at;
  return {};
}

Device* MemoryStore::DeviceOf(const DeviceId& id) {
  const auto found = std::ranges::find(devices_, id, &Device::id);
  return found == devices_.end() ? nullptr : &*found;
}

}  // namespace fallow::memory
