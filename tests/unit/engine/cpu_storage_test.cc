// What the CPU backend keeps of weights and activations: values, sizes, refusals.
#include "engine/cpu/cpu_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/random_values.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;
using enum WeightType;

class CpuStorage : public ::testing::TestWithParam<WeightLayout> {
 protected:
  std::vector<float> Widened(WeightType type, std::uint32_t rows, std::uint32_t columns,
                             const Bytes& data, WeightLayout layout) {
    CpuMatrix matrix(budget_, type, rows, columns, layout);
    EXPECT_TRUE(matrix.Fill(data).has_value());
    std::vector<float> values(std::size_t{rows} * columns);
    for (std::uint32_t r = 0; r < rows; ++r) matrix.Widen(r, &values[std::size_t{r} * columns]);
    return values;
  }

  MemoryBudget budget_{std::uint64_t{1} << 30};
};

TEST_P(CpuStorage, WidensWeightsOfThirtyTwoAsTheyAreMeant) {
  // Scale 0.5, minimum -1.5; value 0 has q = 3, value 16 q = 15, all others 0.
  const Bytes q4_1 = {0x00, 0x38, 0x00, 0xBE, 0xF3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  auto values = Widened(kQ4_1, 1, 32, q4_1, GetParam());
  EXPECT_EQ(values[0], 3 * 0.5f - 1.5f);
  EXPECT_EQ(values[16], 15 * 0.5f - 1.5f);
  EXPECT_EQ(values[31], -1.5f);
  // Scale -2, fifth bits of values 0 and 31; value 0 has q = 19, value 31 q = 16.
  Bytes q5_0 = {0x00, 0xC0, 0x01, 0x00, 0x00, 0x80, 0x03};
  q5_0.resize(22);
  values = Widened(kQ5_0, 1, 32, q5_0, GetParam());
  EXPECT_EQ(values[0], (19 - 16) * -2.0f);
  EXPECT_EQ(values[31], 0.0f);
  EXPECT_EQ(values[1], -16 * -2.0f);
  // Scale 2^-24, the least there is; int8 values.
  Bytes q8_0 = {0x01, 0x00, 0x80, 0x7F, 0xFF};
  q8_0.resize(34);
  values = Widened(kQ8_0, 1, 32, q8_0, GetParam());
  EXPECT_EQ(values[0], -128 * 0x1p-24f);
  EXPECT_EQ(values[1], 127 * 0x1p-24f);
  EXPECT_EQ(values[2], -0x1p-24f);
}

TEST_P(CpuStorage, WidensWeightsOfTwoHundredAndFiftySixAsTheyAreMeant) {
  // Scale 1, minimum 0.25. Sub-block 1: sub-scale 63, sub-minimum 2. Value 32: q = 5.
  Bytes q4_k(144);
  q4_k[1] = 0x3C;
  q4_k[3] = 0x34;
  q4_k[4 + 1] = 63;
  q4_k[8 + 1] = 2;
  q4_k[16] = 0x50;
  auto values = Widened(kQ4_K, 1, 256, q4_k, GetParam());
  EXPECT_EQ(values[32], 63 * 5 * 1.0f - 2 * 0.25f);
  EXPECT_EQ(values[33], -2 * 0.25f);
  EXPECT_EQ(values[64], 0.0f);
  // Scale 0.5. Sub-block 15: sub-scale -128. Value 255: q = 63; its neighbour 254: 0.
  Bytes q6_k(210);
  q6_k[127] = 0xF0;
  q6_k[191] = 0xC0;
  q6_k[207] = 0x80;
  q6_k[209] = 0x38;
  values = Widened(kQ6_K, 1, 256, q6_k, GetParam());
  EXPECT_EQ(values[255], -128 * (63 - 32) * 0.5f);
  EXPECT_EQ(values[254], -128 * (0 - 32) * 0.5f);
  EXPECT_EQ(values[0], 0.0f);
}

TEST_P(CpuStorage, LoadsTinyFloatWeightsAsZero) {
  Bytes bf16 = {0x7F, 0x2B, 0x80, 0x2B,
                0x80, 0xAB, 0x01, 0x80};  // just below 2^-40, at it, -it, tiny
  EXPECT_EQ(Widened(kBF16, 1, 4, bf16, GetParam()), (std::vector{0.0f, 0x1p-40f, -0x1p-40f, 0.0f}));
  const float values[] = {0x1.fffffep-41f, 0x1p-40f, -0.0f, -0x1p-126f};
  Bytes f32(sizeof values);
  std::memcpy(f32.data(), values, sizeof values);
  EXPECT_EQ(Widened(kF32, 1, 4, f32, GetParam()), (std::vector{0.0f, 0x1p-40f, 0.0f, 0.0f}));
}

// Whatever the layout, a weight comes out as it went in.
TEST_P(CpuStorage, KeepsEveryWeightInEveryLayout) {
  RandomValues values(5);
  for (const WeightFormat& format : AllWeightFormats()) {
    const std::uint32_t columns = 3 * format.block_values;
    for (const std::uint32_t rows : {1u, 16u, 19u}) {
      const Bytes data = values.Weights(format.type, rows, columns);
      EXPECT_EQ(Widened(format.type, rows, columns, data, GetParam()),
                Widened(format.type, rows, columns, data, WeightLayout::kRows))
          << format.name << ", " << rows << " rows";
    }
  }
}

TEST_P(CpuStorage, NamesTheRowAndColumnOfAWeightThatIsNotFinite) {
  const auto message = [&](WeightType type, std::size_t offset, std::uint8_t byte) {
    const std::uint32_t columns = 2 * FormatOf(type).block_values;
    Bytes data(3 * WeightRowBytes(type, columns));
    // Of the third row's second block.
    data[data.size() - FormatOf(type).block_bytes + offset] = byte;
    CpuMatrix matrix(budget_, type, 3, columns, GetParam());
    const Status status = matrix.Fill(data);
    return status.has_value() ? "accepted" : status.error().message;
  };
  EXPECT_EQ(message(kQ4_0, 1, 0x7C),
            "row 2, column 32: the scale of a block of 32 weights is not a finite number");
  EXPECT_EQ(
      message(kQ5_1, 3, 0xFF),
      "row 2, column 32: the scale or minimum of a block of 32 weights is not a finite number");
  EXPECT_EQ(message(kQ4_K, 3, 0x7E),
            "row 2, column 256: the scale or minimum of a block of 256 weights is not a finite "
            "number");
  EXPECT_THAT(message(kQ6_K, 209, 0xFC), HasSubstr("row 2, column 256"));
  EXPECT_EQ(message(kF16, 1, 0x7C), "row 2, column 1: the weight is not a finite number");
  EXPECT_EQ(message(kF16, 1, 0x7B), "accepted");
}

INSTANTIATE_TEST_SUITE_P(Layouts, CpuStorage,
                         ::testing::Values(WeightLayout::kRows, WeightLayout::kInterleaved),
                         [](const auto& layout) {
                           return layout.param == WeightLayout::kRows ? "Rows" : "Interleaved";
                         });

// What is interleaved for vectors takes what a file takes, but for K-quants' 6-bit sub-scales.
TEST(CpuStorageSizes, InterleavedWeightsStayPacked) {
  for (const WeightFormat& format : AllWeightFormats()) {
    const std::uint64_t bytes = PlaneBytes(format, WeightLayout::kInterleaved, 32, 512);
    const bool six_bit_scales = format.sub_block_values == 32;
    EXPECT_EQ(bytes, 32 * (WeightRowBytes(format.type, 512) + (six_bit_scales ? 2 * (16 - 12) : 0)))
        << format.name;
  }
}

// The largest matrices are of gigabytes.
TEST(CpuStorageSizes, OneLargeArrayIsGivenBackInPieces) {
  MemoryBudget budget(std::uint64_t{1} << 40);
  constexpr std::size_t kBytes = std::size_t{200} << 20;
  { AlignedArray<std::uint8_t> array(budget, kBytes); }
  std::uint64_t left = budget.discarded_bytes();
  EXPECT_GE(left, kBytes);
  StepControl control;
  int looks = 0;
  control.OnLook([&] { ++looks; });
  ASSERT_TRUE(budget.GiveBack(control).has_value());
  EXPECT_EQ(budget.discarded_bytes(), 0u);
  EXPECT_GE(looks, 7);
  control.Stop();
  { AlignedArray<std::uint8_t> array(budget, kBytes); }
  EXPECT_FALSE(budget.GiveBack(control).has_value());
  EXPECT_EQ(budget.discarded_bytes(), left) << "is freed with the budget";
}

TEST(CpuStorageSizes, TensorsHaveRoomForTheFormsTheyWereAskedFor) {
  MemoryBudget budget(1 << 20);
  CpuTensor both(budget, 2, 512, {});
  EXPECT_TRUE(both.HasForm(ActivationForm::kInt8Per32) &&
              both.HasForm(ActivationForm::kInt8Per256));
  CpuTensor narrow(budget, 2, 96, {});
  EXPECT_TRUE(narrow.HasForm(ActivationForm::kInt8Per32));
  EXPECT_FALSE(narrow.HasForm(ActivationForm::kInt8Per256));
  EXPECT_EQ(CpuTensor::BytesFor(2, 512, {.per_32 = false, .per_256 = false}), 2 * 512 * 4u);
  EXPECT_EQ(CpuTensor::BytesFor(2, 33, {}), 2 * 33 * 4u);
}

}  // namespace
}  // namespace fallow::engine
