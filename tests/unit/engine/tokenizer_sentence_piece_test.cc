// SentencePiece vocabularies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/unit/engine/tokenizer_vocabularies.h"

namespace fallow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kMarkToken = kFirstPiece;

GgufWriter Abc() {
  return SentencePieceVocabulary({{kMark, kNormalType, -9},
                                  {"a", kNormalType, -8},
                                  {"b", kNormalType, -8},
                                  {"c", kNormalType, -8},
                                  {"ab", kNormalType, -2},
                                  {"bc", kNormalType, -1},
                                  {kMark + "a", kNormalType, -3},
                                  {"<user>", kUserType},
                                  {"s>", kNormalType, -1},
                                  {"</", kNormalType, -1}});
}
constexpr std::uint32_t kA = kFirstPiece + 1, kB = kFirstPiece + 2, kC = kFirstPiece + 3,
                        kAb = kFirstPiece + 4, kBc = kFirstPiece + 5, kMarkA = kFirstPiece + 6,
                        kUser = kFirstPiece + 7, kSEnd = kFirstPiece + 8, kSBegin = kFirstPiece + 9;

TEST(SentencePiece, JoinsTheHighestScoreFirst) {
  const auto tokenizer = Loaded(Abc());
  EXPECT_THAT(tokenizer->Encode("abc"), ElementsAre(kMarkA, kBc));
  EXPECT_THAT(tokenizer->Encode("bab"), ElementsAre(kMarkToken, kB, kAb));
}

TEST(SentencePiece, JoinsTheLeftmostOfEqualScores) {
  const auto tokenizer = Loaded(SentencePieceVocabulary(
      {{kMark, kNormalType, -9}, {"a", kNormalType, -8}, {"aa", kNormalType, -1}}));
  EXPECT_THAT(tokenizer->Encode("aaa"), ElementsAre(kMarkToken, kFirstPiece + 2, kFirstPiece + 1));
}

TEST(SentencePiece, SpellsWhatIsNoTokenInBytes) {
  const auto tokenizer = Loaded(Abc());
  EXPECT_THAT(tokenizer->Encode("\u00e9"),
              ElementsAre(kMarkToken, kFirstByte + 0xC3, kFirstByte + 0xA9));
  EXPECT_THAT(tokenizer->Encode("\xFF"), ElementsAre(kMarkToken, kFirstByte + 0xFF));
  EXPECT_THAT(tokenizer->Encode("\n"), ElementsAre(kMarkToken, kFirstByte + '\n'));
}

TEST(SentencePiece, PutsASpaceInFrontOfARunAfterASpecialTokenToo) {
  const auto tokenizer = Loaded(Abc());
  EXPECT_THAT(tokenizer->Encode("a<user>a"), ElementsAre(kMarkA, kUser, kMarkA));
  EXPECT_THAT(tokenizer->Encode(" a"), ElementsAre(kMarkToken, kMarkA));
  EXPECT_THAT(tokenizer->Encode(""), ElementsAre());
  const auto without = Loaded(Abc().Bool("tokenizer.ggml.add_space_prefix", false));
  EXPECT_THAT(without->Encode("a<user>a"), ElementsAre(kA, kUser, kA));
}

TEST(SentencePiece, BeginsTextsWithBosUnlessTheFileSaysNo) {
  EXPECT_THAT(Loaded(Abc())->EncodeText("c"), ElementsAre(1, kMarkToken, kC));
  EXPECT_THAT(Loaded(Abc()
                         .Bool("tokenizer.ggml.add_bos_token", false)
                         .Bool("tokenizer.ggml.add_eos_token", true))
                  ->EncodeText("c"),
              ElementsAre(kMarkToken, kC, 2));
}

TEST(SentencePiece, NeverJoinsTextToAControlOrByteToken) {
  const auto tokenizer = Loaded(Abc());
  // "</" and "s>" are tokens that join to "</s>".
  EXPECT_THAT(tokenizer->Encode("</s>"), ElementsAre(kMarkToken, kSBegin, kSEnd));
  for (const std::uint32_t token : tokenizer->Encode("<0x41>")) EXPECT_NE(token, kFirstByte + 0x41);
}

TEST(SentencePiece, GivesBackAnyBytes) {
  for (const bool space : {true, false}) {
    const auto tokenizer = Loaded(Abc().Bool("tokenizer.ggml.add_space_prefix", space));
    std::mt19937 random(1);
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      for (std::uint32_t left = random() % 30; left > 0; --left) {
        switch (random() % 4) {
          case 0:
            text += "<user>";
            break;
          case 1:
            text += static_cast<char>(random());
            break;
          default:
            text += "ab c"[random() % 4];
        }
      }
      if (text.find(kMark) != std::string::npos) continue;
      ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
    }
  }
}

TEST(SentencePiece, GivesTheSpaceMarkBackAsASpace) {
  const auto tokenizer = Loaded(Abc());
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a" + kMark + "b")), "a b");
}

// Gemma's runs of spaces are user-defined, and spelt with marks by older conversions.
TEST(SentencePiece, GivesRunsOfSpacesBackAsSpaces) {
  const auto tokenizer = Loaded(
      SentencePieceVocabulary({{kMark, kNormalType, -9}, {kMark + kMark, kUserType, -1}, {"a"}})
          .Bool("tokenizer.ggml.add_space_prefix", false));
  EXPECT_THAT(tokenizer->Encode("  a"), ElementsAre(kFirstPiece + 1, kFirstPiece + 2));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("  a")), "  a");
}

TEST(SentencePiece, TakesAMillionOfOneCharacter) {
  const auto tokenizer = Loaded(SentencePieceVocabulary({{kMark, kNormalType, -9},
                                                         {"a", kNormalType, -8},
                                                         {"aa", kNormalType, -1},
                                                         {"aaaa", kNormalType, -2}}));
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, 'a')).size(), (1u << 20) / 4 + 1);
  EXPECT_EQ(tokenizer->Encode(std::string(1 << 20, ' ')).size(), (1u << 20) + 1);
}

TEST(SentencePiece, NamesWhatItRefuses) {
  std::vector<MadeToken> tokens = {
      {"<unk>", kUnknownType}, {"<s>", kControlType}, {"</s>", kControlType}, {"a"}};
  EXPECT_THAT(Refusal(WriteTokens("llama", tokens)), HasSubstr("no byte token <0x00>"));
  tokens[3].score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(Refusal(WriteTokens("llama", tokens)),
              HasSubstr("tokenizer.ggml.scores: entry 3 is not a finite number"));
  EXPECT_THAT(Refusal(GgufWriter()
                          .String("tokenizer.ggml.model", "llama")
                          .Strings("tokenizer.ggml.tokens", {"a", "b", "c"})),
              HasSubstr("tokenizer.ggml.token_type is missing"));
  EXPECT_THAT(Refusal(GgufWriter()
                          .String("tokenizer.ggml.model", "llama")
                          .Strings("tokenizer.ggml.tokens", {"a", "b", "</s>"})
                          .Integers("tokenizer.ggml.token_type", {1, 3, 3})),
              HasSubstr("tokenizer.ggml.scores is missing"));
  EXPECT_THAT(Refusal(GgufWriter()
                          .String("tokenizer.ggml.model", "llama")
                          .Strings("tokenizer.ggml.tokens", {"a", "b", "</s>"})
                          .Integers("tokenizer.ggml.token_type", {1, 3, 3})
                          .Key("tokenizer.ggml.scores", GgufWriter::kArray, FloatArray({1}))),
              HasSubstr("tokenizer.ggml.scores: 1 entries for 3 tokens"));
}

}  // namespace
}  // namespace fallow::engine
