// Where each bit of a block goes, against a second description of GGUF's formats: for every number
// the pieces it is made of, read off ggml's structures. Both must agree on every bit of a block.
#include "engine/weight_format.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace fallow::engine {
namespace {

using enum WeightType;

// `count` bits of byte `byte` from bit `bit` on are the number's bits from `to` on.
struct Piece {
  std::uint32_t byte, bit, count, to;
};
using Pieces = std::vector<Piece>;

Pieces WholeHalf(std::uint32_t byte) {
  return {{byte, 0, 8, 0}, {byte + 1, 0, 8, 8}};
}

// A number's name in a block, "q 17" or "scale", and its pieces.
using Numbers = std::map<std::string, Pieces>;

// Blocks of 32: nibbles from `nibbles` on, value i and value i + 16 in one byte; fifth bits from
// `fifth` on, one after the other.
Pieces SmallValue(std::uint32_t i, std::uint32_t nibbles, std::uint32_t fifth) {
  Pieces pieces = {{nibbles + i % 16, i / 16 * 4, 4, 0}};
  if (fifth != 0) pieces.push_back({fifth + i / 8, i % 8, 1, 4});
  return pieces;
}

// Q4_K and Q5_K: in each 64 values the first 32 are low nibbles, the others high ones. Byte i % 32
// of the fifth bits has one for each run of 32.
Pieces PairedValue(std::uint32_t i, std::uint32_t nibbles, std::uint32_t fifth) {
  Pieces pieces = {{nibbles + 32 * (i / 64) + i % 32, i % 64 / 32 * 4, 4, 0}};
  if (fifth != 0) pieces.push_back({fifth + i % 32, i / 32, 1, 4});
  return pieces;
}

// Q6_K: in each 128 values there are four runs of 32; runs 0 and 1 have the low nibbles, 2 and 3
// the high ones of 64 bytes; each has two bits of 32 bytes.
Pieces SixBitValue(std::uint32_t i) {
  const std::uint32_t half = i / 128, run = i % 128 / 32, place = i % 32;
  return {{64 * half + 32 * (run % 2) + place, run / 2 * 4, 4, 0},
          {128 + 32 * half + place, run * 2, 2, 4}};
}

// The first four 6-bit pairs lie in the low bits of bytes 4 … 11, the others in nibbles of bytes 12
// … 15 and in the two high bits that are left.
Pieces SixBitScale(std::uint32_t s) {
  if (s < 4) return {{4 + s, 0, 6, 0}};
  return {{8 + s, 0, 4, 0}, {s, 6, 2, 4}};
}
Pieces SixBitMinimum(std::uint32_t s) {
  if (s < 4) return {{8 + s, 0, 6, 0}};
  return {{8 + s, 4, 4, 0}, {4 + s, 6, 2, 4}};
}

Numbers NumbersOf(const WeightFormat& format) {
  Numbers numbers;
  const bool small = format.block_values == 32;
  const bool fifth = format.bits == 5;
  for (std::uint32_t i = 0; i < format.block_values; ++i) {
    Pieces& pieces = numbers["q " + std::to_string(i)];
    const std::uint32_t header = format.has_minimum ? 4 : 2;
    if (format.type == kQ8_0) {
      pieces = {{2 + i, 0, 8, 0}};
    } else if (format.type == kQ6_K) {
      pieces = SixBitValue(i);
    } else if (small) {
      pieces = SmallValue(i, header + (fifth ? 4 : 0), fifth ? header : 0);
    } else {
      pieces = PairedValue(i, fifth ? 48 : 16, fifth ? 16 : 0);
    }
  }
  numbers["scale"] = WholeHalf(format.type == kQ6_K ? 208 : 0);
  if (format.has_minimum) numbers["minimum"] = WholeHalf(2);
  for (std::uint32_t s = 0; s < format.sub_block_count(); ++s) {
    const std::string name = std::to_string(s);
    numbers["sub_scale " + name] =
        format.type == kQ6_K ? Pieces{{192 + s, 0, 8, 0}} : SixBitScale(s);
    if (format.has_minimum) numbers["sub_minimum " + name] = SixBitMinimum(s);
  }
  return numbers;
}

// All numbers of a block, as unsigned bits.
std::map<std::string, std::uint32_t> Unpacked(const WeightFormat& format,
                                              const std::vector<std::uint8_t>& bytes) {
  WeightBlock block;
  UnpackWeightBlock(format, bytes.data(), block);
  std::map<std::string, std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < format.block_values; ++i) {
    // What GGUF stores signed is kept with its sign bit turned over.
    const std::uint32_t q = format.bits == 8 ? block.q[i] ^ 0x80u : block.q[i];
    numbers["q " + std::to_string(i)] = q;
  }
  numbers["scale"] = block.scale;
  if (format.has_minimum) numbers["minimum"] = block.minimum;
  for (std::uint32_t s = 0; s < format.sub_block_count(); ++s) {
    const std::string name = std::to_string(s);
    numbers["sub_scale " + name] = static_cast<std::uint8_t>(block.sub_scales[s]);
    if (format.has_minimum) numbers["sub_minimum " + name] = block.sub_minimums[s];
  }
  return numbers;
}

class WeightFormats : public ::testing::TestWithParam<WeightType> {};

TEST_P(WeightFormats, TakeEveryBitOfABlockToItsNumber) {
  const WeightFormat& format = FormatOf(GetParam());
  std::vector<std::uint8_t> block(format.block_bytes);
  auto wanted = Unpacked(format, block);
  for (const auto& [name, value] : wanted) ASSERT_EQ(value, 0u) << name;
  std::size_t bit_count = 0;
  for (const auto& [name, pieces] : NumbersOf(format)) {
    for (const Piece& piece : pieces) {
      for (std::uint32_t k = 0; k < piece.count; ++k, ++bit_count) {
        block[piece.byte] = static_cast<std::uint8_t>(1u << (piece.bit + k));
        wanted[name] = 1u << (piece.to + k);
        ASSERT_EQ(Unpacked(format, block), wanted)
            << name << ": bit " << piece.bit + k << " of byte " << piece.byte;
        wanted[name] = 0;
        block[piece.byte] = 0;
      }
    }
  }
  EXPECT_EQ(bit_count, format.block_bytes * 8) << "bits of a block that belong to no number";
}

TEST_P(WeightFormats, KnowAFiniteBlockFromItsScaleAndMinimum) {
  const WeightFormat& format = FormatOf(GetParam());
  const Numbers numbers = NumbersOf(format);
  for (const auto& [name, pieces] : numbers) {
    if (name != "scale" && name != "minimum") continue;
    for (const auto& [high_byte, finite] : {std::pair{0x7B, true}, {0x7C, false}, {0xFE, false}}) {
      std::vector<std::uint8_t> bytes(format.block_bytes, 0xFF);
      for (const Piece& piece : numbers.at("scale")) bytes[piece.byte] = 0;
      if (format.has_minimum)
        for (const Piece& piece : numbers.at("minimum")) bytes[piece.byte] = 0;
      bytes[pieces[1].byte] = static_cast<std::uint8_t>(high_byte);
      WeightBlock block;
      UnpackWeightBlock(format, bytes.data(), block);
      EXPECT_EQ(block.IsFinite(), finite) << name << " " << high_byte;
    }
  }
}

std::vector<WeightType> IntegerTypes() {
  std::vector<WeightType> types;
  for (const WeightFormat& format : AllWeightFormats()) {
    if (format.is_integer()) types.push_back(format.type);
  }
  return types;
}
INSTANTIATE_TEST_SUITE_P(Types, WeightFormats, ::testing::ValuesIn(IntegerTypes()),
                         [](const auto& type) { return std::string(WeightTypeName(type.param)); });

TEST(WeightFormatTable, IsInTheOrderOfTheTypes) {
  for (std::size_t i = 0; i < AllWeightFormats().size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(AllWeightFormats()[i].type), i);
    EXPECT_EQ(FindWeightFormat(AllWeightFormats()[i].name), &AllWeightFormats()[i]);
  }
  EXPECT_EQ(FindWeightFormat("Q3_K"), nullptr);
}

TEST(WeightFormatTable, GivesTheBytesOfARow) {
  EXPECT_EQ(WeightRowBytes(kF32, 7), 28u);
  EXPECT_EQ(WeightRowBytes(kBF16, 7), 14u);
  EXPECT_EQ(WeightRowBytes(kQ4_0, 64), 36u);
  EXPECT_EQ(WeightRowBytes(kQ4_K, 512), 288u);
  EXPECT_EQ(WeightRowBytes(kQ6_K, 256), 210u);
}

}  // namespace
}  // namespace fallow::engine
