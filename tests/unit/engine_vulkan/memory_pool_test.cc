// How blocks of device memory are sized: the pool itself is tried with a device in the conformance
// tests.
#include "engine/vulkan/memory_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "engine/vulkan/range_allocator.h"
#include "engine/vulkan/weight_layout.h"

namespace fallow::engine {
namespace {

constexpr std::uint64_t kAlignmentBytes = 256;

struct ModelShape {
  std::string_view name;
  std::uint32_t width, kv_width, feed_forward, layers, vocabulary;
};

// Shapes of small models as they are downloaded, and one for a demonstration.
constexpr ModelShape kModels[] = {
    {"135 M", 576, 192, 1536, 30, 49152},   {"0.5 B", 896, 128, 4864, 24, 151936},
    {"encoder", 768, 768, 3072, 12, 30522}, {"1 B", 2048, 512, 8192, 16, 128256},
    {"8 B", 4096, 1024, 14336, 32, 128256},
};

// What loading a model and making room for 32 sequences of 2,048 positions asks for, in order.
std::vector<std::uint64_t> Requests(const ModelShape& m, WeightType type,
                                    std::uint64_t max_range_bytes) {
  std::vector<std::uint64_t> requests;
  const auto matrix = [&](std::uint32_t outputs, std::uint32_t columns) {
    const std::uint64_t tile = PackedBytes(type, kTileOutputs, columns);
    const std::uint64_t most = max_range_bytes / tile * tile;
    for (std::uint64_t left = PackedBytes(type, outputs, columns); left > 0;
         left -= std::min(left, most))
      requests.push_back(std::min(left, most));
  };
  const auto tensor = [&](std::uint64_t rows, std::uint64_t columns) {
    for (const std::uint64_t bytes : {rows * columns * 4, rows * columns, rows * columns / 4})
      requests.push_back(bytes);
  };
  matrix(m.vocabulary, m.width);
  for (std::uint32_t i = 0; i < m.layers; ++i) {
    requests.push_back(m.width * 4);
    for (const std::uint32_t outputs : {m.width, m.kv_width, m.kv_width, m.width})
      matrix(outputs, m.width);
    for (int j = 0; j < 2; ++j) matrix(m.feed_forward, m.width);
    matrix(m.width, m.feed_forward);
  }
  for (const std::uint32_t columns : {m.width, m.width, m.kv_width, m.kv_width, m.feed_forward})
    tensor(512, columns);
  tensor(32, m.vocabulary);
  for (std::uint32_t i = 0; i < m.layers; ++i)
    for (const std::uint64_t divisor : {1, 1, 8, 8})
      requests.push_back(std::uint64_t{32} * 8 * 256 * m.kv_width / divisor);
  return requests;
}

struct Sizes {
  std::uint64_t used = 0;
  std::uint64_t reserved = 0;
};

// As the pool does: the first block with room, else a new one.
class Blocks {
 public:
  explicit Blocks(std::uint64_t max_range_bytes) : max_range_bytes_(max_range_bytes) {}

  void Allocate(std::uint64_t bytes) {
    const std::uint64_t size = (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
    sizes_.used += size;
    for (RangeAllocator& block : blocks_)
      if (block.Allocate(size).has_value()) return;
    const std::uint64_t length =
        std::min(max_range_bytes_, NewBlockBytes(MemoryKind::kDevice, size, sizes_.reserved));
    ASSERT_GE(length, size);
    sizes_.reserved += length;
    ASSERT_TRUE(blocks_.emplace_back(length, kAlignmentBytes).Allocate(size).has_value());
  }
  const Sizes& sizes() const { return sizes_; }

 private:
  std::uint64_t max_range_bytes_;
  std::vector<RangeAllocator> blocks_;
  Sizes sizes_;
};

// Whatever has been loaded so far: from 100 MB on, what blocks hold beside it is below 5 %.
TEST(MemoryBlocks, WasteLittleOfWhatAModelNeeds) {
  for (const ModelShape& model : kModels)
    for (const WeightType type : {WeightType::kQ4_K, WeightType::kQ8_0, WeightType::kF16})
      for (const std::uint64_t max_range_bytes :
           {std::uint64_t{128} << 20, std::uint64_t{1} << 31}) {
        // K-quants have whole rows of 256 columns only.
        if (model.width % FormatOf(type).block_values != 0) continue;
        SCOPED_TRACE(model.name);
        SCOPED_TRACE(WeightTypeName(type));
        Blocks blocks(max_range_bytes);
        for (const std::uint64_t bytes : Requests(model, type, max_range_bytes)) {
          blocks.Allocate(bytes);
          const auto [used, reserved] = blocks.sizes();
          if (used >= 100'000'000) {
            ASSERT_LE(static_cast<double>(reserved), 1.05 * static_cast<double>(used));
          }
        }
      }
}

TEST(MemoryBlocks, HoldManySmallRangesTogether) {
  EXPECT_EQ(NewBlockBytes(MemoryKind::kDevice, 256, 0), std::uint64_t{4} << 20);
  // Three of these fit, and no fourth begins.
  EXPECT_EQ(NewBlockBytes(MemoryKind::kDevice, 1'200'128, 0), 3u * 1'200'128);
  EXPECT_EQ(NewBlockBytes(MemoryKind::kDevice, std::uint64_t{100} << 20, 0),
            std::uint64_t{100} << 20);
  EXPECT_EQ(NewBlockBytes(MemoryKind::kUpload, 5000, 0), 5000u);
}

}  // namespace
}  // namespace fallow::engine
