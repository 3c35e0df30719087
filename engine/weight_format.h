// How GGUF's tensor types store weights, as data: one row of a table for each type we compute.
//
// A float type stores each weight by itself. An integer type stores blocks of unsigned integers q
// with fp16 numbers beside them; a weight is
//   without sub-blocks   w = scale * (q - zero) + minimum
//   with sub-blocks s    w = scale * sub_scale[s] * (q - zero) - minimum * sub_minimum[s]
// where the second part is there only in types with a minimum. Checks, repacking and kernels go by
// these numbers, never by a type's name. Source: ggml's ggml-common.h and docs/gguf.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace fallow::engine {

enum class WeightType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K
};

// What a product makes of its activations before it multiplies.
enum class ActivationForm : std::uint8_t {
  kFloat,       // as they are
  kInt8Per32,   // int8 with a scale for 32 values
  kInt8Per256,  // int8 with a scale for 256 values
};

struct WeightFormat {
  WeightType type = WeightType::kF32;
  std::string_view name;
  std::uint32_t gguf_id = 0;
  std::uint32_t block_values = 1;  // a row is whole blocks
  std::uint32_t block_bytes = 0;
  // The rest says what an integer type is made of.
  std::uint32_t bits = 0;  // of q; 0: a float type
  std::int32_t zero = 0;
  bool has_minimum = false;
  std::uint32_t sub_block_values = 0;  // 16 or 32; 0: the block has one scale

  constexpr bool is_integer() const { return bits != 0; }
  constexpr std::uint32_t sub_block_count() const {
    return sub_block_values == 0 ? 0 : block_values / sub_block_values;
  }
  constexpr ActivationForm activations() const {
    return !is_integer()         ? ActivationForm::kFloat
           : block_values == 256 ? ActivationForm::kInt8Per256
                                 : ActivationForm::kInt8Per32;
  }
};

// In the order of WeightType.
inline constexpr WeightFormat kWeightFormats[] = {
    {WeightType::kF32, "F32", 0, 1, 4},
    {WeightType::kF16, "F16", 1, 1, 2},
    {WeightType::kBF16, "BF16", 30, 1, 2},
    {WeightType::kQ8_0, "Q8_0", 8, 32, 34, 8, 128},
    {WeightType::kQ4_0, "Q4_0", 2, 32, 18, 4, 8},
    {WeightType::kQ4_1, "Q4_1", 3, 32, 20, 4, 0, true},
    {WeightType::kQ5_0, "Q5_0", 6, 32, 22, 5, 16},
    {WeightType::kQ5_1, "Q5_1", 7, 32, 24, 5, 0, true},
    {WeightType::kQ4_K, "Q4_K", 12, 256, 144, 4, 0, true, 32},
    {WeightType::kQ5_K, "Q5_K", 13, 256, 176, 5, 0, true, 32},
    {WeightType::kQ6_K, "Q6_K", 14, 256, 210, 6, 32, false, 16},
};

constexpr const WeightFormat& FormatOf(WeightType type) {
  return kWeightFormats[static_cast<std::size_t>(type)];
}
constexpr std::span<const WeightFormat> AllWeightFormats() {
  return kWeightFormats;
}
// Null for a type we do not compute.
const WeightFormat* FindWeightFormat(std::string_view name);

std::string_view WeightTypeName(WeightType type);  // "F32", "Q4_K", …
// Bytes of a row of `columns` weights as GGUF stores it. `columns` is whole blocks.
std::uint64_t WeightRowBytes(WeightType type, std::uint64_t columns);

// One block of an integer type, taken apart. Arrays are filled as far as the format says.
struct WeightBlock {
  std::array<std::uint8_t, 256> q{};
  std::uint16_t scale = 0;    // fp16 bits
  std::uint16_t minimum = 0;  // fp16 bits
  std::array<std::int8_t, 16> sub_scales{};
  std::array<std::uint8_t, 16> sub_minimums{};

  // Whether both fp16 numbers are.
  bool IsFinite() const { return (scale & 0x7C00) != 0x7C00 && (minimum & 0x7C00) != 0x7C00; }
};
// `bytes`: the format's block_bytes. Of an integer type.
void UnpackWeightBlock(const WeightFormat& format, const std::uint8_t* bytes, WeightBlock& block);

}  // namespace fallow::engine
