#include "engine/gguf/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/gguf/limits.h"
#include "engine/weight_format.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32Tensor = 0;
constexpr std::uint32_t kQ8Tensor = 8;

// The message of a file that must be refused.
std::string Refusal(const Bytes& file) {
  const auto parsed = GgufFile::Parse(file);
  if (parsed.has_value()) return "accepted";
  EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  return parsed.error().message;
}

Bytes Sample() {
  return GgufWriter()
      .U32("a.number", 7)
      .F32("a.float", 0.5f)
      .Bool("a.bool", true)
      .String("a.text", "hello")
      .Strings("a.texts", {"x", "", "yz"})
      .Integers("a.integers", {3, -4})
      .Tensor("one", {2, 3}, kF32Tensor, Bytes(24))
      .Tensor("two", {64}, kQ8Tensor, Bytes(68))
      .Write();
}

TEST(GgufFile, GivesKeysAndTensorsAsWritten) {
  const Bytes bytes = Sample();
  const auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->FindUint("a.number").value(), 7u);
  EXPECT_EQ(file->FindFloat("a.float").value(), 0.5);
  EXPECT_EQ(file->FindBool("a.bool").value(), true);
  EXPECT_EQ(file->FindString("a.text").value(), "hello");
  EXPECT_THAT(file->FindStrings("a.texts").value().value(), ElementsAre("x", "", "yz"));
  EXPECT_THAT(file->FindIntegers("a.integers").value().value(), ElementsAre(3, -4));
  const GgufTensor* two = file->FindTensor("two");
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->type->name, "Q8_0");
  EXPECT_EQ(two->bytes.size(), 68u);
  EXPECT_EQ(two->bytes.data(), bytes.data() + bytes.size() - 68);
  EXPECT_EQ(file->FindTensor("one")->element_count(), 6u);
  EXPECT_EQ(file->FindTensor("three"), nullptr);
}

TEST(GgufFile, TellsAbsentKeysFromWrongTypes) {
  const Bytes bytes = Sample();
  const auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->FindUint("nothing").value(), std::nullopt);
  EXPECT_THAT(file->RequireUint("nothing").error().message, HasSubstr("nothing"));
  EXPECT_THAT(file->FindUint("a.text").error().message,
              AllOf(HasSubstr("a.text"), HasSubstr("unsigned"), HasSubstr("found string")));
  EXPECT_FALSE(file->FindStrings("a.integers").has_value());
  EXPECT_FALSE(file->FindIntegers("a.texts").has_value());
  EXPECT_FALSE(file->FindFloat("a.number").has_value());
  EXPECT_FALSE(file->FindBool("a.number").has_value());
  EXPECT_FALSE(file->FindString("a.bool").has_value());
}

// No length of a sound file's beginning is a sound file, up to where the last tensor ends.
TEST(GgufFile, RefusesEveryTruncation) {
  const Bytes whole = Sample();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_THAT(Refusal(cut), HasSubstr("offset")) << size;
  }
}

TEST(GgufFile, RefusesOtherFilesAndVersions) {
  Bytes file = Sample();
  file[0] = 'X';
  EXPECT_THAT(Refusal(file), HasSubstr("magic"));
  GgufWriter writer;
  for (const std::uint32_t version : {0u, 1u, 4u}) {
    writer.version = version;
    EXPECT_THAT(Refusal(writer.Write()), HasSubstr("versions 2 and 3 are read")) << version;
  }
  for (const std::uint32_t version : {0x02000000u, 0x03000000u}) {
    writer.version = version;
    EXPECT_THAT(Refusal(writer.Write()), HasSubstr("big-endian")) << version;
  }
}

TEST(GgufFile, ReadsVersion2AsVersion3) {
  GgufWriter writer;
  writer.version = 2;
  const Bytes bytes = writer.U32("k", 7).Tensor("t", {1}, kF32Tensor, Bytes(4)).Write();
  const auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->FindUint("k").value(), 7u);
  EXPECT_NE(file->FindTensor("t"), nullptr);
}

// Whether we compute a type or not: its tensors' bytes are found, so that what follows is too.
TEST(GgufFile, KnowsEveryTensorTypeThereIs) {
  for (const GgufTensorType& type : AllGgufTensorTypes()) {
    const Bytes bytes =
        GgufWriter()
            .Tensor("t", {type.block_elements * 3, 2}, type.id, Bytes(type.block_bytes * 6, 1))
            .Tensor("last", {1}, kF32Tensor, Bytes(4, 2))
            .Write();
    const auto file = GgufFile::Parse(bytes);
    ASSERT_TRUE(file.has_value()) << type.name << ": " << file.error().message;
    EXPECT_EQ(file->FindTensor("t")->type, &type);
    EXPECT_EQ(file->FindTensor("t")->bytes.size(), type.block_bytes * 6) << type.name;
    EXPECT_EQ(file->FindTensor("last")->bytes.front(), 2) << type.name;
  }
}

// What we compute is described once more by its weight format; the two must agree.
TEST(GgufFile, TensorTypesAgreeWithTheWeightFormats) {
  for (const WeightFormat& format : AllWeightFormats()) {
    const GgufTensorType* const type = FindGgufTensorType(format.gguf_id);
    ASSERT_NE(type, nullptr) << format.name;
    EXPECT_EQ(type->name, format.name);
    EXPECT_EQ(type->block_elements, format.block_values) << format.name;
    EXPECT_EQ(type->block_bytes, format.block_bytes) << format.name;
  }
}

TEST(GgufFile, GivesKeysInTheFilesOrderWithTheirBytes) {
  const Bytes bytes = GgufWriter().U32("z", 7).String("a", "xy").U16("m", 258).Write();
  const auto file = GgufFile::Parse(bytes);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  std::vector<std::string_view> names;
  for (const GgufFile::Key& key : file->KeysInFileOrder()) names.push_back(key.name);
  EXPECT_THAT(names, ElementsAre("z", "a", "m"));
  EXPECT_THAT(file->Find("m")->bytes, ElementsAre(2, 1));
  EXPECT_EQ(file->Find("a")->bytes.size(), 10u);
}

TEST(GgufFile, RefusesCountsBeyondTheirLimits) {
  GgufWriter writer;
  writer.tensor_count = kMaxGgufTensorCount + 1;
  EXPECT_THAT(Refusal(writer.Write()), HasSubstr("65537 tensors"));
  writer.tensor_count = 0;
  writer.key_count = ~std::uint64_t{0};
  EXPECT_THAT(Refusal(writer.Write()), HasSubstr("18446744073709551615 keys"));
  writer.key_count = 3;  // but holds none
  EXPECT_THAT(Refusal(writer.Write()), HasSubstr("the file ends"));
}

TEST(GgufFile, RefusesLengthsThatOverflow) {
  Bytes huge_length = GgufWriter::Value(~std::uint64_t{0} - 3);
  EXPECT_THAT(Refusal(GgufWriter().Key("k", GgufWriter::kString, huge_length).Write()),
              AllOf(HasSubstr("key k"), HasSubstr("a string of")));
  Bytes array = GgufWriter::Value(GgufWriter::kU64);
  GgufWriter::Append(array, std::uint64_t{1} << 61);  // times 8 is 2^64
  EXPECT_THAT(Refusal(GgufWriter().Key("k", GgufWriter::kArray, array).Write()),
              HasSubstr("an array of"));
  array = GgufWriter::Value(GgufWriter::kU64);
  GgufWriter::Append(array, std::uint64_t{1'000'000});
  EXPECT_THAT(Refusal(GgufWriter().Key("k", GgufWriter::kArray, array).Write()),
              HasSubstr("the file ends"));
}

TEST(GgufFile, RefusesValuesOfUnknownKinds) {
  EXPECT_THAT(Refusal(GgufWriter().Key("k", 13, Bytes(8)).Write()),
              HasSubstr("unknown value type 13"));
  EXPECT_THAT(Refusal(GgufWriter().Key("k", GgufWriter::kBool, {2}).Write()),
              HasSubstr("a bool of value 2"));
  EXPECT_THAT(Refusal(GgufWriter().Tensor("t", {1}, 99, Bytes(4)).Write()),
              HasSubstr("unknown tensor type 99"));
}

TEST(GgufFile, RefusesArraysNestedTooDeep) {
  Bytes nested;
  for (int depth = 0; depth < 10; ++depth) {
    GgufWriter::Append(nested, GgufWriter::kArray);
    GgufWriter::Append(nested, std::uint64_t{1});
  }
  EXPECT_THAT(Refusal(GgufWriter().Key("k", GgufWriter::kArray, nested).Write()),
              HasSubstr("nested deeper than 4"));
}

TEST(GgufFile, RefusesWhatIsThereTwice) {
  EXPECT_THAT(Refusal(GgufWriter().U32("k", 1).U32("k", 1).Write()),
              AllOf(HasSubstr("key k"), HasSubstr("twice")));
  EXPECT_THAT(Refusal(GgufWriter()
                          .Tensor("t", {1}, kF32Tensor, Bytes(4))
                          .Tensor("t", {1}, kF32Tensor, Bytes(4))
                          .Write()),
              AllOf(HasSubstr("tensor t"), HasSubstr("twice")));
}

TEST(GgufFile, RefusesTensorsOfImpossibleShape) {
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {}, kF32Tensor, 0).Write()),
              HasSubstr("0 dimensions"));
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {1, 1, 1, 1, 1}, kF32Tensor, 0).Write()),
              HasSubstr("5 dimensions"));
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {4, 0}, kF32Tensor, 0).Write()),
              HasSubstr("a dimension of 0"));
  const std::uint64_t big = std::uint64_t{1} << 33;
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {big, big}, kF32Tensor, 0).Write()),
              HasSubstr("more than"));
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {33}, kQ8Tensor, 0).Write()),
              HasSubstr("rows of 33"));
}

TEST(GgufFile, RefusesTensorsOutsideTheirPlace) {
  EXPECT_THAT(Refusal(GgufWriter().TensorInfo("t", {1}, kF32Tensor, 64).Write()),
              AllOf(HasSubstr("tensor t"), HasSubstr("beyond the file")));
  EXPECT_THAT(
      Refusal(GgufWriter().TensorInfo("t", {1}, kF32Tensor, ~std::uint64_t{0} - 31).Write()),
      HasSubstr("beyond the file"));
  EXPECT_THAT(Refusal(GgufWriter()
                          .Tensor("s", {16}, kF32Tensor, Bytes(64))
                          .TensorInfo("t", {1}, kF32Tensor, 4)
                          .Write()),
              HasSubstr("not aligned"));
  EXPECT_THAT(Refusal(GgufWriter()
                          .Tensor("s", {16}, kF32Tensor, Bytes(64))
                          .TensorInfo("t", {1}, kF32Tensor, 32)
                          .Write()),
              AllOf(HasSubstr("tensor t"), HasSubstr("overlaps that of s")));
}

TEST(GgufFile, RefusesAlignmentsThatAreNone) {
  for (const std::uint32_t alignment : {0u, 12u, 1u << 30}) {
    EXPECT_THAT(Refusal(GgufWriter().U32("general.alignment", alignment).Write()),
                HasSubstr("an alignment of"));
  }
}

TEST(GgufFile, ShowsForeignNamesSafely) {
  const std::string name = "bad\n\x1b[31m" + std::string(100, 'x');
  const std::string refusal = Refusal(GgufWriter().U32(name, 1).U32(name, 1).Write());
  EXPECT_THAT(refusal, HasSubstr("bad??[31mxxx"));
  EXPECT_LT(refusal.size(), 200u);
}

}  // namespace
}  // namespace fallow::engine
