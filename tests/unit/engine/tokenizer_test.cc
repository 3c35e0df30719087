#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int32_t kNormal = 1, kControl = 3;

// The 256 bytes, then one token per merge ("a b" gives "ab"), then <|im_start|> and <|im_end|>.
GgufWriter VocabularyOf(const std::vector<std::string>& merges) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
  for (std::string merge : merges) {
    merge.erase(merge.find(' '), 1);
    tokens.push_back(merge);
  }
  std::vector<std::int32_t> types(tokens.size(), kNormal);
  for (const char* special : {"<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(special);
    types.push_back(kControl);
  }
  GgufWriter writer;
  writer.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", "gpt-2")
      .Strings("tokenizer.ggml.tokens", tokens)
      .Integers("tokenizer.ggml.token_type", types)
      .Strings("tokenizer.ggml.merges", merges);
  return writer;
}

Result<std::unique_ptr<Tokenizer>> Load(const Bytes& file) {
  const auto parsed = GgufFile::Parse(file);
  EXPECT_TRUE(parsed.has_value());
  return LoadTokenizer(*parsed);
}

std::string Decode(const Tokenizer& tokenizer, const std::vector<std::uint32_t>& tokens) {
  std::string text;
  for (const std::uint32_t token : tokens) text += tokenizer.TokenBytes(token);
  return text;
}

TEST(Tokenizer, MergesTheEarliestPairFirst) {
  const auto tokenizer = Load(VocabularyOf({"b c", "a b", "ab c"}).Write());
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  // "b c" came first, so "abc" is a + bc although "ab" and "abc" are tokens too.
  EXPECT_THAT((*tokenizer)->Encode("abc"), ElementsAre('a', 256));
  EXPECT_THAT((*tokenizer)->Encode("ab"), ElementsAre(257));
  EXPECT_THAT((*tokenizer)->Encode("bcbc"), ElementsAre(256, 256));
}

TEST(Tokenizer, MergesLongWordsAsShortOnes) {
  const auto tokenizer = Load(VocabularyOf({"a a", "aa a", "aa aa", "aaaa aaaa", "b a"}).Write());
  ASSERT_TRUE(tokenizer.has_value());
  // 40 letters take the queue, pieces of 8 the scan: the merges of this vocabulary never cross a
  // multiple of 8.
  const auto eight = (*tokenizer)->Encode("aaaaaaaa");
  const auto forty = (*tokenizer)->Encode(std::string(40, 'a'));
  ASSERT_EQ(forty.size(), 5 * eight.size());
  for (std::size_t i = 0; i < forty.size(); ++i) EXPECT_EQ(forty[i], eight[i % eight.size()]);
}

TEST(Tokenizer, TakesLinearTimeOnAMillionOfOneLetter) {
  const auto tokenizer = Load(VocabularyOf({"a a", "aa aa", "aaaa aaaa"}).Write());
  ASSERT_TRUE(tokenizer.has_value());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ((*tokenizer)->Encode(std::string(1 << 20, 'a')).size(), (1u << 20) / 8);
  EXPECT_EQ((*tokenizer)->Encode(std::string(1 << 20, ' ')).size(), 1u << 20);
  std::string words;
  for (int i = 0; i < 1 << 19; ++i) words += "a ";
  EXPECT_EQ((*tokenizer)->Encode(words).size(), words.size());
  // About a second with sanitizers; a quadratic way would take hours.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(Tokenizer, GivesBackAnyBytes) {
  const auto tokenizer = Load(VocabularyOf({"a b", "ab ab", "\xC4\xA0 a"}).Write());
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint32_t left = random() % 80; left > 0; --left) {
      text += random() % 2 == 0 ? static_cast<char>("ab \n'1"[random() % 6])
                                : static_cast<char>(random());
    }
    ASSERT_EQ(Decode(**tokenizer, (*tokenizer)->Encode(text)), text);
  }
}

TEST(Tokenizer, NeverMakesSpecialTokensOfText) {
  const auto tokenizer = Load(VocabularyOf({"a b"}).Write());
  ASSERT_TRUE(tokenizer.has_value());
  const auto token_of = [&](const char* spelling) {
    const std::vector<PromptPiece> pieces = {{spelling, true}};
    const auto tokens = (*tokenizer)->EncodePrompt(pieces);
    EXPECT_EQ(tokens.size(), 1u) << spelling;
    return tokens.front();
  };
  const std::uint32_t start = token_of("<|im_start|>");
  const std::uint32_t end = token_of("<|im_end|>");
  EXPECT_EQ((*tokenizer)->Encode("<|im_start|>").size(), 12u);
  EXPECT_EQ((*tokenizer)->TokenBytes(start), "");
  EXPECT_TRUE((*tokenizer)->IsEndOfGeneration(end));
  EXPECT_FALSE((*tokenizer)->IsEndOfGeneration(start));
  EXPECT_EQ((*tokenizer)->TokenBytes((*tokenizer)->vocabulary_size()), "");
}

TEST(Tokenizer, NamesWhatItRefuses) {
  const auto refusal = [](const GgufWriter& writer) {
    const auto tokenizer = Load(writer.Write());
    return tokenizer.has_value() ? std::string("accepted") : tokenizer.error().message;
  };
  EXPECT_THAT(refusal(GgufWriter().String("tokenizer.ggml.model", "t5")),
              HasSubstr("\"t5\" is not known"));
  EXPECT_THAT(refusal(GgufWriter().String("tokenizer.ggml.model", "gpt2")),
              HasSubstr("tokenizer.ggml.pre is missing"));
  EXPECT_THAT(refusal(GgufWriter()
                          .String("tokenizer.ggml.model", "gpt2")
                          .String("tokenizer.ggml.pre", "gpt-2")
                          .U32("tokenizer.ggml.eos_token_id", 0)
                          .Strings("tokenizer.ggml.tokens", {"a"})),
              HasSubstr("no token for byte 0x0a"));
  EXPECT_THAT(refusal(VocabularyOf({"a b"}).U32("tokenizer.ggml.eos_token_id", 1000)),
              HasSubstr("1000 is beyond"));
  GgufWriter short_types;
  short_types.String("tokenizer.ggml.model", "gpt2")
      .String("tokenizer.ggml.pre", "gpt-2")
      .Strings("tokenizer.ggml.tokens", {"a", "b"})
      .Integers("tokenizer.ggml.token_type", {1});
  EXPECT_THAT(refusal(short_types), HasSubstr("1 entries for 2 tokens"));
}

TEST(Tokenizer, NamesTheMergeItRefuses) {
  const auto with_merges = [](const std::vector<std::string>& merges) {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
    return GgufWriter()
        .String("tokenizer.ggml.model", "gpt2")
        .String("tokenizer.ggml.pre", "gpt-2")
        .U32("tokenizer.ggml.eos_token_id", 0)
        .Strings("tokenizer.ggml.tokens", tokens)
        .Strings("tokenizer.ggml.merges", merges)
        .Write();
  };
  EXPECT_THAT(Load(with_merges({"a b"})).error().message,
              HasSubstr("entry 0 (\"a b\") names a piece"));
  EXPECT_THAT(Load(with_merges({"ab"})).error().message,
              HasSubstr("entry 0 (\"ab\") is not two pieces"));
  EXPECT_THAT(Load(with_merges({""})).error().message, HasSubstr("is not two pieces"));
}

TEST(Utf8, TellsWholeBrokenAndIncompleteCharactersApart) {
  EXPECT_EQ(ReadUtf8("\xF0\x9F\x98\x80").kind, Utf8Kind::kCharacter);
  EXPECT_EQ(ReadUtf8("\xF0\x9F\x98\x80").code_point, 0x1F600u);
  EXPECT_EQ(ReadUtf8("\xF0\x9F\x98").kind, Utf8Kind::kIncomplete);
  EXPECT_EQ(ReadUtf8("\xC0\x80").kind, Utf8Kind::kBroken);          // overlong
  EXPECT_EQ(ReadUtf8("\xED\xA0\x80").kind, Utf8Kind::kBroken);      // a surrogate
  EXPECT_EQ(ReadUtf8("\xF4\x90\x80\x80").kind, Utf8Kind::kBroken);  // beyond U+10FFFF
  EXPECT_EQ(ReadUtf8("\xE6\x97(").length, 2u);  // one U+FFFD for what could have been a character
}

}  // namespace
}  // namespace fallow::engine
