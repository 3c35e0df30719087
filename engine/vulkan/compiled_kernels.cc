#include "engine/vulkan/compiled_kernels.h"

#include <algorithm>
#include <cstring>

namespace fallow::engine {
namespace {

// Of what a driver gives for one kernel.
constexpr std::size_t kMaxDataBytes = std::size_t{16} << 20;

ByteView AsBytes(std::span<const std::uint32_t> words) {
  return {reinterpret_cast<const std::uint8_t*>(words.data()), words.size_bytes()};
}

}  // namespace

DriverIdentity IdentityOf(VkPhysicalDevice device) {
  VkPhysicalDeviceIDProperties ids{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
  VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &ids};
  vkGetPhysicalDeviceProperties2(device, &properties);
  DriverIdentity identity{.vendor = properties.properties.vendorID,
                          .device = properties.properties.deviceID,
                          .driver_version = properties.properties.driverVersion};
  std::ranges::copy(ids.driverUUID, identity.driver.begin());
  std::ranges::copy(properties.properties.pipelineCacheUUID, identity.cache.begin());
  return identity;
}

bool HoldsKernels(ByteView data, const DriverIdentity& driver) {
  VkPipelineCacheHeaderVersionOne header;
  if (data.size() <= sizeof header) return false;
  std::memcpy(&header, data.data(), sizeof header);
  return header.headerSize >= sizeof header && header.headerSize < data.size() &&
         header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
         header.vendorID == driver.vendor && header.deviceID == driver.device &&
         std::ranges::equal(header.pipelineCacheUUID, driver.cache);
}

Digest CompiledKernels::KeyOf(std::span<const std::uint32_t> words,
                              std::span<const std::uint32_t> rest) const {
  const std::array<std::uint32_t, 5> head{driver_.vendor, driver_.device, driver_.driver_version,
                                          static_cast<std::uint32_t>(words.size()),
                                          static_cast<std::uint32_t>(rest.size())};
  Sha256 hash;
  hash.Update(AsBytes(head));
  hash.Update(driver_.driver);
  hash.Update(driver_.cache);
  hash.Update(AsBytes(words));
  hash.Update(AsBytes(rest));
  return hash.Finish();
}

VkPipelineCache CompiledKernels::Open(const Digest& key) const {
  if (store_ == nullptr) return VK_NULL_HANDLE;
  const ByteView kept = store_->Find(key);
  VkPipelineCacheCreateInfo create{.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
  if (HoldsKernels(kept, driver_)) {
    create.initialDataSize = kept.size();
    create.pInitialData = kept.data();
  }
  VkPipelineCache cache = VK_NULL_HANDLE;
  // Without one the kernel is compiled, and not kept.
  if (calls_.vkCreatePipelineCache(device_, &create, nullptr, &cache) != VK_SUCCESS)
    return VK_NULL_HANDLE;
  return cache;
}

void CompiledKernels::Close(const Digest& key, VkPipelineCache cache, bool made) const {
  if (cache == VK_NULL_HANDLE) return;
  if (made && !HoldsKernels(store_->Find(key), driver_)) {
    const Bytes data = DataOf(cache);
    if (HoldsKernels(data, driver_)) store_->Keep(key, data);
  }
  calls_.vkDestroyPipelineCache(device_, cache, nullptr);
}

Bytes CompiledKernels::DataOf(VkPipelineCache cache) const {
  std::size_t size = 0;
  if (calls_.vkGetPipelineCacheData(device_, cache, &size, nullptr) != VK_SUCCESS ||
      size > kMaxDataBytes)
    return {};
  Bytes data(size);
  if (calls_.vkGetPipelineCacheData(device_, cache, &size, data.data()) != VK_SUCCESS) return {};
  data.resize(size);
  return data;
}

}  // namespace fallow::engine
