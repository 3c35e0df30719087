#include "engine/gguf/join_splits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/gguf/limits.h"
#include "engine/gguf/split_part.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32Tensor = 0;
constexpr std::uint32_t kQ8Tensor = 8;

GgufWriter& AddModelKeys(GgufWriter& writer) {
  return writer.String("general.architecture", "llama")
      .Strings("tokenizer.ggml.tokens", {"a", "", "bc"})
      .F32("llama.rope.freq_base", 5e5f);
}

// Tensor number `i` of the model, its bytes told apart by their value.
GgufWriter& AddTensor(GgufWriter& writer, int i) {
  const auto fill = static_cast<std::uint8_t>(i + 1);
  // 68 bytes, so that padding follows.
  return i % 2 == 0 ? writer.Tensor("t" + std::to_string(i), {32, 2}, kQ8Tensor, Bytes(68, fill))
                    : writer.Tensor("t" + std::to_string(i), {16}, kF32Tensor, Bytes(64, fill));
}

GgufWriter& AddSplitKeys(GgufWriter& writer, std::uint16_t number, std::uint16_t count,
                         std::int32_t tensors) {
  return writer.U16("split.no", number)
      .U16("split.count", count)
      .Key("split.tensors.count", GgufWriter::kI32, GgufWriter::Value(tensors));
}

// The model of four tensors in one file.
Bytes WholeFile() {
  GgufWriter writer;
  AddModelKeys(writer);
  for (int i = 0; i < 4; ++i) AddTensor(writer, i);
  return writer.Write();
}

// The same in three: the first has the keys, the second two tensors.
std::vector<Bytes> PartFiles() {
  std::vector<Bytes> files;
  for (std::uint16_t part = 0; part < 3; ++part) {
    GgufWriter writer;
    if (part == 0) AddModelKeys(writer);
    AddSplitKeys(writer, part, 3, 4);
    if (part == 0) AddTensor(writer, 0);
    if (part == 1) AddTensor(AddTensor(writer, 1), 2);
    if (part == 2) AddTensor(writer, 3);
    files.push_back(writer.Write());
  }
  return files;
}

std::vector<SplitPart> Named(const std::vector<Bytes>& files) {
  std::vector<SplitPart> parts;
  for (std::size_t i = 0; i < files.size(); ++i) {
    parts.push_back({"part" + std::to_string(i + 1), files[i]});
  }
  return parts;
}

Bytes Concatenated(const JoinedGguf& joined) {
  Bytes bytes;
  for (const ByteView piece : joined.pieces()) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

std::string Refusal(const std::vector<Bytes>& files) {
  const std::vector<SplitPart> parts = Named(files);
  const auto joined = JoinSplits(parts);
  return joined.has_value() ? "joined" : joined.error().message;
}

TEST(JoinSplits, GivesTheFileThatWasSplitByteForByte) {
  const std::vector<Bytes> files = PartFiles();
  const std::vector<SplitPart> parts = Named(files);
  const auto joined = JoinSplits(parts);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  const Bytes bytes = Concatenated(*joined);
  EXPECT_EQ(joined->size_bytes(), bytes.size());
  EXPECT_EQ(bytes, WholeFile());
}

TEST(JoinSplits, ItsDirectoryIsThatOfTheJoinedFile) {
  const std::vector<Bytes> files = PartFiles();
  const std::vector<SplitPart> parts = Named(files);
  auto made = JoinSplits(parts);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const JoinedGguf joined = *std::move(made);  // its views survive a move
  const Bytes bytes = Concatenated(joined);
  const auto parsed = GgufFile::Parse(bytes);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  ASSERT_EQ(joined.directory().tensors().size(), parsed->tensors().size());
  for (const GgufTensor& tensor : parsed->tensors()) {
    const GgufTensor* const same = joined.directory().FindTensor(tensor.name);
    ASSERT_NE(same, nullptr) << tensor.name;
    EXPECT_EQ(same->type, tensor.type);
    EXPECT_EQ(same->dimensions, tensor.dimensions);
    EXPECT_TRUE(std::ranges::equal(same->bytes, tensor.bytes)) << tensor.name;
  }
  const auto keys = joined.directory().KeysInFileOrder();
  ASSERT_EQ(keys.size(), parsed->KeysInFileOrder().size());
  for (const GgufFile::Key& key : keys) {
    ASSERT_NE(parsed->Find(key.name), nullptr) << key.name;
    EXPECT_TRUE(std::ranges::equal(key.value->bytes, parsed->Find(key.name)->bytes)) << key.name;
  }
  EXPECT_EQ(joined.directory().Find("split.count"), nullptr);
}

// Tensors are seen where they lie: nothing of their size is allocated.
TEST(JoinSplits, CopiesNoTensor) {
  const std::vector<Bytes> files = PartFiles();
  const std::vector<SplitPart> parts = Named(files);
  const auto joined = JoinSplits(parts);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  const ByteView data = joined->pieces()[1];
  EXPECT_GE(data.data(), files[0].data());
  EXPECT_LT(data.data(), files[0].data() + files[0].size());
}

TEST(JoinSplits, KeepsTheFirstPartsAlignment) {
  GgufWriter first, second;
  AddSplitKeys(first.U32("general.alignment", 64), 0, 2, 2);
  first.Tensor("a", {1}, kF32Tensor, Bytes(4, 1));
  AddSplitKeys(second, 1, 2, 2).Tensor("b", {1}, kF32Tensor, Bytes(4, 2));
  // The writer aligns to 32: shift the first part's data to a multiple of 64.
  Bytes first_bytes = first.Write();
  if (const std::size_t data = first_bytes.size() - 4; data % 64 != 0) {
    first_bytes.insert(first_bytes.end() - 4, 64 - data % 64, 0);
  }
  const std::vector<Bytes> files = {first_bytes, second.Write()};
  const std::vector<SplitPart> parts = Named(files);
  const auto joined = JoinSplits(parts);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  const Bytes bytes = Concatenated(*joined);
  const auto parsed = GgufFile::Parse(bytes);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(parsed->alignment(), 64u);
  EXPECT_EQ(parsed->FindTensor("b")->bytes.front(), 2);
  EXPECT_EQ((parsed->FindTensor("b")->bytes.data() - bytes.data()) % 64, 0);
}

TEST(JoinSplits, RefusesPartsThatAreNotOneModel) {
  const std::vector<Bytes> files = PartFiles();
  EXPECT_THAT(Refusal({files[0], files[1]}),
              AllOf(HasSubstr("part1"), HasSubstr("split.count tells of 3 parts; 2 are named")));
  EXPECT_THAT(Refusal({files[0], files[2], files[1]}),
              AllOf(HasSubstr("part2"), HasSubstr("part 3"), HasSubstr("place of part 2")));
  EXPECT_THAT(Refusal({files[0], files[1], WholeFile()}),
              AllOf(HasSubstr("part3"), HasSubstr("no part of a split model")));
  EXPECT_THAT(Refusal({files[0], Bytes{'G', 'G'}, files[2]}),
              AllOf(HasSubstr("part2"), HasSubstr("the file ends")));

  GgufWriter repeated;
  AddTensor(AddSplitKeys(repeated, 2, 3, 4), 1);
  EXPECT_THAT(Refusal({files[0], files[1], repeated.Write()}),
              AllOf(HasSubstr("part3"), HasSubstr("tensor t1 is in part2 too")));

  GgufWriter other;
  AddTensor(AddSplitKeys(other.String("general.architecture", "qwen2"), 2, 3, 4), 3);
  EXPECT_THAT(Refusal({files[0], files[1], other.Write()}),
              AllOf(HasSubstr("part3"), HasSubstr("key general.architecture differs"),
                    HasSubstr("another model")));

  GgufWriter empty;
  AddSplitKeys(empty, 2, 3, 4);
  EXPECT_THAT(Refusal({files[0], files[1], empty.Write()}),
              HasSubstr("split.tensors.count tells of 4 tensors; the 3 parts hold 3"));
}

TEST(SplitPart, TellsPartsFromWholeFiles) {
  const Bytes whole = WholeFile();
  EXPECT_EQ(FindSplitPlace(*GgufFile::Parse(whole)).value(), std::nullopt);
  EXPECT_TRUE(CheckIsWhole(*GgufFile::Parse(whole)).has_value());
  GgufWriter alone;  // as a splitter writes a model that needs no second file
  const Bytes single = AddSplitKeys(alone, 0, 1, 0).Write();
  EXPECT_TRUE(CheckIsWhole(*GgufFile::Parse(single)).has_value());

  const std::vector<Bytes> files = PartFiles();
  const auto place = FindSplitPlace(*GgufFile::Parse(files[1])).value();
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->number, 1u);
  EXPECT_EQ(place->count, 3u);
  EXPECT_EQ(place->tensor_count, 4u);
  EXPECT_THAT(CheckIsWhole(*GgufFile::Parse(files[1])).error().message,
              AllOf(HasSubstr("part 2 of 3"), HasSubstr("fallow models add"),
                    HasSubstr("-00001-of-00003.gguf")));
}

TEST(SplitPart, RefusesKeysThatContradictThemselves) {
  const auto refusal = [](std::uint16_t number, std::uint16_t count) {
    GgufWriter writer;
    const Bytes bytes = AddSplitKeys(writer, number, count, 1).Write();
    const auto place = FindSplitPlace(*GgufFile::Parse(bytes));
    return place.has_value() ? "accepted" : place.error().message;
  };
  EXPECT_THAT(refusal(3, 3), HasSubstr("split.no: 3, of 3 parts"));
  EXPECT_THAT(refusal(0, kMaxGgufSplitParts + 1), HasSubstr("split.count: 1025 parts"));
  const Bytes text = GgufWriter().String("split.count", "three").Write();
  EXPECT_THAT(FindSplitPlace(*GgufFile::Parse(text)).error().message, HasSubstr("found string"));
}

TEST(SplitName, IsReadAndWritten) {
  const auto name = ParseSplitName("models/big-q4-00002-of-00013.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stem, "models/big-q4");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 13u);
  EXPECT_EQ(FormatSplitName(*name), "models/big-q4-00002-of-00013.gguf");
}

TEST(SplitName, IsNoneForOtherNames) {
  for (const char* name :
       {"big.gguf", "big-00002-of-00013", "big-2-of-13.gguf", "big-00000-of-00003.gguf",
        "big-00004-of-00003.gguf", "-of-00003.gguf", "big-0000x-of-00003.gguf",
        "big-+0001-of-00003.gguf", "big00001-of-00003.gguf", ""}) {
    EXPECT_FALSE(ParseSplitName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace fallow::engine
