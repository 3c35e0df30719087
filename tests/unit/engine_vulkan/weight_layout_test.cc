#include "engine/vulkan/weight_layout.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "tests/support/trying_weights.h"

namespace fallow::engine {
namespace {

using testing::HasSubstr;

TEST(WeightLayout, IsNoLargerThanTheFile) {
  for (const WeightFormat& format : AllWeightFormats())
    EXPECT_EQ(PackedBytes(format.type, 32, 512), 32 * WeightRowBytes(format.type, 512))
        << format.name;
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

// Reads one output of a chunk as weight_layout.h describes it.
class ChunkReader {
 public:
  ChunkReader(const WeightFormat& format, std::uint32_t blocks, const std::uint8_t* chunk,
              std::uint32_t member)
      : format_(format), chunk_(chunk), member_(member) {
    low_ = blocks * (format.bits == 8 ? 2 : 1);
    high_ = format.bits == 5 ? (blocks + 3) / 4 : format.bits == 6 ? (blocks + 1) / 2 : 0;
  }

  int Integer(std::uint32_t block, std::uint32_t column) const {
    if (format_.bits == 8)
      return static_cast<std::int8_t>(Element(block * 2 + column / 16)[column % 16]) + 128;
    const int low = Element(block)[column % 16] >> (column < 16 ? 0 : 4) & 15;
    const std::uint32_t r = column / 4, i = column % 4;
    if (format_.bits == 5) return low | (Word(low_ + block / 4, block % 4) >> (8 * i + r) & 1) << 4;
    if (format_.bits == 6) {
      const std::uint32_t word = block * 2 + r / 4;
      return low | (Word(low_ + word / 4, word % 4) >> (8 * i + 2 * (r % 4)) & 3) << 4;
    }
    return low;
  }
  std::uint16_t Half(std::uint32_t number, std::uint32_t half) const {
    return static_cast<std::uint16_t>(Word(low_ + high_ + number, half / 2) >> half % 2 * 16);
  }
  std::uint16_t SharedHalf() const {
    std::uint16_t half;
    std::memcpy(&half, chunk_ + std::size_t{low_ + high_ + 1} * 8 * 16 + member_ * 2, 2);
    return half;
  }
  int SubScale(std::uint32_t s) const {
    if (format_.sub_block_values == 16) return static_cast<std::int8_t>(Element(low_ + high_)[s]);
    return static_cast<int>((NumberWord(1) >> 4 * s & 15) | (NumberWord(3) >> 2 * s & 3) << 4);
  }
  int SubMinimum(std::uint32_t s) const {
    return static_cast<int>((NumberWord(2) >> 4 * s & 15) | (NumberWord(3) >> (16 + 2 * s) & 3)
                                                                << 4);
  }

 private:
  const std::uint8_t* Element(std::uint32_t index) const {
    return chunk_ + (std::size_t{index} * 8 + member_) * 16;
  }
  std::uint32_t Word(std::uint32_t element, std::uint32_t word) const {
    std::uint32_t value;
    std::memcpy(&value, Element(element) + word * 4, 4);
    return value;
  }
  std::uint32_t NumberWord(std::uint32_t word) const { return Word(low_ + high_, word); }

  const WeightFormat& format_;
  const std::uint8_t* chunk_;
  std::uint32_t member_;
  std::uint32_t low_ = 0;
  std::uint32_t high_ = 0;
};

// Rows of a chunk and a rest, where the type's blocks allow one.
TEST(WeightLayout, KeepsEveryIntegerAndNumberOfABlock) {
  for (const WeightFormat& format : AllWeightFormats()) {
    if (!format.is_integer()) continue;
    SCOPED_TRACE(format.name);
    const std::uint32_t columns = format.block_values == 256 ? 512 : 256 + 5 * 32;
    constexpr std::uint32_t kRows = 10;
    std::uint32_t state = format.gguf_id;
    const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 7; };
    const Bytes data = TryingIntegerWeights(format.type, kRows, columns, next, 20);
    Bytes out(PackedBytes(format.type, kRows, columns));
    ASSERT_TRUE(PackWeights(format.type, 0, kRows, columns, data, out).has_value());
    for (std::uint32_t row = 0; row < kRows; ++row)
      for (std::uint32_t column = 0; column < columns; ++column) {
        WeightBlock block;
        const std::uint32_t index = column / format.block_values;
        UnpackWeightBlock(
            format,
            data.data() + row * WeightRowBytes(format.type, columns) + index * format.block_bytes,
            block);
        const std::uint32_t chunk = column / 256, in_chunk = column % 256 / 32;
        const ChunkReader reader(format, std::min(8u, columns / 32 - chunk * 8),
                                 out.data() + row / 8 * GroupBytes(format.type, columns) +
                                     chunk * GroupBytes(format.type, 256),
                                 row % 8);
        ASSERT_EQ(reader.Integer(in_chunk, column % 32), block.q[column % format.block_values])
            << row << " " << column;
        const std::uint32_t sub =
            format.sub_block_values == 0 ? 0 : column % 256 / format.sub_block_values;
        if (format.sub_block_values == 0) {
          ASSERT_EQ(reader.Half(0, in_chunk), block.scale);
          if (format.has_minimum) {
            ASSERT_EQ(reader.Half(1, in_chunk), block.minimum);
          }
        } else {
          ASSERT_EQ(format.sub_block_values == 16 ? reader.SharedHalf() : reader.Half(0, 0),
                    block.scale);
          ASSERT_EQ(reader.SubScale(sub), block.sub_scales[sub]);
          if (format.has_minimum) {
            ASSERT_EQ(reader.Half(0, 1), block.minimum);
            ASSERT_EQ(reader.SubMinimum(sub), block.sub_minimums[sub]);
          }
        }
      }
  }
}

TEST(WeightLayout, DropsTinyBf16) {
  const std::uint16_t values[] = {0x3F80, 0x2B80, 0x2B7F, 0xAB7F, 0x8000, 0x0001};
  Bytes data(32 * 2);
  std::memcpy(data.data(), values, sizeof(values));
  Bytes out(PackedBytes(WeightType::kBF16, 1, 32));
  ASSERT_TRUE(PackWeights(WeightType::kBF16, 0, 1, 32, data, out).has_value());
  std::uint16_t kept[6];
  std::memcpy(kept, out.data(), sizeof(kept));
  EXPECT_THAT(kept, testing::ElementsAre(0x3F80, 0x2B80, 0, 0, 0, 0));
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
