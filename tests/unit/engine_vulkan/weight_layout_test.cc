#include "engine/vulkan/weight_layout.h"

#include <gmock/gmock.h>

#include <cstring>

namespace fallow::engine {
namespace {

using testing::HasSubstr;

TEST(WeightLayout, IsNoLargerThanTheFile) {
  EXPECT_EQ(PackedBytes(WeightType::kQ8_0, 32, 256), 32 * WeightRowBytes(WeightType::kQ8_0, 256));
  EXPECT_EQ(PackedBytes(WeightType::kF16, 32, 256), 32 * WeightRowBytes(WeightType::kF16, 256));
  EXPECT_EQ(PackedBytes(WeightType::kF32, 64, 32), 64 * WeightRowBytes(WeightType::kF32, 32));
  EXPECT_EQ(PackedBytes(WeightType::kF32, 33, 1), 64 * WeightRowBytes(WeightType::kF32, 32));
}

TEST(WeightLayout, PutsTheSameColumnsOfEightOutputsSideBySide) {
  constexpr std::uint32_t kColumns = 288;  // a chunk of eight blocks and one of one
  Bytes data(9 * WeightRowBytes(WeightType::kQ8_0, kColumns));
  for (std::uint32_t row = 0; row < 9; ++row)
    for (std::uint32_t block = 0; block < 9; ++block) {
      std::uint8_t* at = data.data() + (row * 9 + block) * 34;
      at[0] = static_cast<std::uint8_t>(row);
      at[1] = static_cast<std::uint8_t>(block);
      for (std::uint32_t i = 0; i < 32; ++i)
        at[2 + i] = static_cast<std::uint8_t>(row * 16 + block + i);
    }
  Bytes out(PackedBytes(WeightType::kQ8_0, 9, kColumns));
  ASSERT_TRUE(PackWeights(WeightType::kQ8_0, 0, 9, kColumns, data, out).has_value());
  const auto element = [&](std::uint32_t group, std::uint32_t index) {
    return out.data() + group * GroupBytes(WeightType::kQ8_0, kColumns) + std::size_t{index} * 16;
  };
  EXPECT_EQ(element(0, 2 * 16 + 8 + 5)[3],
            5 * 16 + 2 + 19);                // row 5, block 2, second half, column 19
  EXPECT_EQ(element(0, 128 + 5)[2 * 7], 5);  // its scale of block 7 …
  EXPECT_EQ(element(0, 128 + 5)[2 * 7 + 1], 7);
  EXPECT_EQ(element(1, 136 + 0)[4], 8 * 16 + 8 + 4);  // row 8, block 8: second group, second chunk
  EXPECT_EQ(element(1, 136 + 16)[1], 8);              // its scale follows the chunk's one block
  EXPECT_EQ(element(1, 136 + 1)[4], 0);               // row 9 is padding
}

TEST(WeightLayout, DropsTinyFloatsAndNamesInfiniteOnes) {
  std::vector<float> values(2 * 32, 0x1p-41f);
  values[0] = 1;
  Bytes out(PackedBytes(WeightType::kF32, 2, 32));
  const ByteView data(reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * 4);
  ASSERT_TRUE(PackWeights(WeightType::kF32, 0, 2, 32, data, out).has_value());
  float first[2];
  std::memcpy(first, out.data(), 8);
  EXPECT_EQ(first[0], 1.0f);
  EXPECT_EQ(first[1], 0.0f);
  values[33] = std::numeric_limits<float>::infinity();
  const Status status = PackWeights(WeightType::kF32, 10, 2, 32, data, out);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("row 11, column 1"));
}

}  // namespace
}  // namespace fallow::engine
