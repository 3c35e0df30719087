// A driver that compiles, played by functions in a device's table.
#include "engine/vulkan/compiled_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

namespace fallow::engine {
namespace {

constexpr DriverIdentity kDriver{
    .vendor = 7, .device = 8, .driver_version = 9, .driver = {1, 2, 3}, .cache = {4, 5, 6}};

Bytes CacheData(const DriverIdentity& driver, std::size_t compiled_bytes) {
  VkPipelineCacheHeaderVersionOne header{.headerSize = sizeof header,
                                         .headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE,
                                         .vendorID = driver.vendor,
                                         .deviceID = driver.device,
                                         .pipelineCacheUUID = {}};
  std::ranges::copy(driver.cache, header.pipelineCacheUUID);
  Bytes data(sizeof header + compiled_bytes, std::uint8_t{0xC0});
  std::memcpy(data.data(), &header, sizeof header);
  return data;
}

// What the driver was given, and what it gives.
struct PlayedDriver {
  std::vector<Bytes> given;
  Bytes compiled;
  int open_count = 0;
  bool refuses = false;
} played;

VolkDeviceTable Table() {
  VolkDeviceTable table{};
  table.vkCreatePipelineCache = [](VkDevice, const VkPipelineCacheCreateInfo* info,
                                   const VkAllocationCallbacks*, VkPipelineCache* cache) {
    if (played.refuses) return VK_ERROR_OUT_OF_HOST_MEMORY;
    const auto* bytes = static_cast<const std::uint8_t*>(info->pInitialData);
    played.given.emplace_back(bytes, bytes + info->initialDataSize);
    ++played.open_count;
    *cache = reinterpret_cast<VkPipelineCache>(&played);
    return VK_SUCCESS;
  };
  table.vkGetPipelineCacheData = [](VkDevice, VkPipelineCache, std::size_t* size, void* data) {
    if (data != nullptr) std::memcpy(data, played.compiled.data(), *size);
    *size = played.compiled.size();
    return VK_SUCCESS;
  };
  table.vkDestroyPipelineCache = [](VkDevice, VkPipelineCache, const VkAllocationCallbacks*) {
    --played.open_count;
  };
  return table;
}

class MapStore : public KernelStore {
 public:
  ByteView Find(const Digest& key) const override {
    const auto found = kept.find(key);
    return found == kept.end() ? ByteView{} : ByteView(found->second);
  }
  void Keep(const Digest& key, ByteView compiled) override {
    kept[key] = Bytes(compiled.begin(), compiled.end());
    ++keep_count;
  }
  std::map<Digest, Bytes> kept;
  int keep_count = 0;
};

struct CompiledKernelsTest : testing::Test {
  CompiledKernelsTest() { played = {.compiled = CacheData(kDriver, 100)}; }
  ~CompiledKernelsTest() override { EXPECT_EQ(played.open_count, 0); }

  void Compile(bool made = true) { kernels.Close(key, kernels.Open(key), made); }

  VolkDeviceTable table = Table();
  MapStore store;
  CompiledKernels kernels{table, VK_NULL_HANDLE, kDriver, &store};
  Digest key = kernels.KeyOf(std::vector<std::uint32_t>{1, 2}, std::vector<std::uint32_t>{3});
};

TEST_F(CompiledKernelsTest, WhatIsCompiledOnceIsGivenToTheDriverEverAfter) {
  Compile();
  EXPECT_TRUE(played.given[0].empty());
  EXPECT_EQ(store.kept.at(key), played.compiled);
  Compile();
  EXPECT_EQ(played.given[1], played.compiled);
  EXPECT_EQ(store.keep_count, 1);
}

TEST_F(CompiledKernelsTest, WhatIsNotOfThisDriverDoesNotReachIt) {
  DriverIdentity other_device = kDriver, other_vendor = kDriver, other_build = kDriver;
  other_device.device++;
  other_vendor.vendor++;
  other_build.cache[15] = 1;
  Bytes long_header = CacheData(kDriver, 10), old_version = CacheData(kDriver, 10);
  long_header[0] = 200;
  old_version[4] = 2;
  for (const Bytes& bad :
       {CacheData(other_device, 10), CacheData(other_vendor, 10), CacheData(other_build, 10),
        CacheData(kDriver, 0), long_header, old_version, Bytes(3), Bytes(1000, 0xFF)}) {
    EXPECT_FALSE(HoldsKernels(bad, kDriver));
    store.kept[key] = bad;
    Compile();
    EXPECT_TRUE(played.given.back().empty());
    EXPECT_EQ(store.kept.at(key), played.compiled) << "it is replaced";
  }
}

TEST_F(CompiledKernelsTest, KeepsNothingThatIsNothing) {
  Compile(false);
  played.compiled = CacheData(kDriver, 0);
  Compile();
  played.refuses = true;
  Compile();
  EXPECT_EQ(store.keep_count, 0);
  played.refuses = false;
  const CompiledKernels without(table, VK_NULL_HANDLE, kDriver, nullptr);
  EXPECT_EQ(without.Open(key), VkPipelineCache{VK_NULL_HANDLE});
  without.Close(key, VK_NULL_HANDLE, true);
}

TEST_F(CompiledKernelsTest, AKeyIsOfAllThatAKernelDependsOn) {
  using Words = std::vector<std::uint32_t>;
  DriverIdentity newer = kDriver;
  newer.driver_version++;
  const CompiledKernels other(table, VK_NULL_HANDLE, newer, &store);
  EXPECT_NE(other.KeyOf(Words{1, 2}, Words{3}), key);
  EXPECT_NE(kernels.KeyOf(Words{1, 4}, Words{3}), key);
  EXPECT_NE(kernels.KeyOf(Words{1, 2}, Words{4}), key);
  EXPECT_NE(kernels.KeyOf(Words{1}, Words{2, 3}), key);
  EXPECT_EQ(kernels.KeyOf(Words{1, 2}, Words{3}), key);
}

}  // namespace
}  // namespace fallow::engine
