// WordPiece vocabularies, and how BERT sees a text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/tokenizer/bert_normalizer.h"
#include "tests/unit/engine/tokenizer_vocabularies.h"

namespace fallow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Words(std::string_view text, BertNormalization normalization = {}) {
  std::vector<std::string> words;
  VisitBertWords(text, normalization, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(BertNormalizer, SetsWordsPunctuationAndChineseApart) {
  EXPECT_THAT(Words("Hello, wor-ld\t\u4e2d\u6587x"),
              ElementsAre("hello", ",", "wor", "-", "ld", "\u4e2d", "\u6587", "x"));
  EXPECT_THAT(Words("a$b~c\u3002d\u20ace"),
              ElementsAre("a", "$", "b", "~", "c", "\u3002", "d\u20ace"));
  EXPECT_THAT(Words("\u00a0a\u3000b\n"), ElementsAre("a", "b"));
  EXPECT_THAT(Words(""), ElementsAre());
  EXPECT_THAT(Words(" \n "), ElementsAre());
}

TEST(BertNormalizer, StripsAccentsAndCase) {
  EXPECT_THAT(Words("\u00c9T\u00c9 e\u0301 \u1eecA"), ElementsAre("ete", "e", "ua"));
  EXPECT_THAT(Words("\u041c\u0418\u0420"), ElementsAre("\u043c\u0438\u0440"));
  EXPECT_THAT(Words("\u00c9t\u00e9", {.lowercase = true, .strip_accents = false}),
              ElementsAre("\u00e9t\u00e9"));
  EXPECT_THAT(Words("\u00c9A", {.lowercase = false, .strip_accents = false}),
              ElementsAre("\u00c9A"));
}

TEST(BertNormalizer, KeepsHangulAsLettersAndVowelSigns) {
  EXPECT_THAT(Words("\ud55c"), ElementsAre("\u1112\u1161\u11ab"));
  // The vowel sign U+093F stays, the virama U+094D goes.
  EXPECT_THAT(Words("\u0939\u093f\u0928\u094d\u0926"), ElementsAre("\u0939\u093f\u0928\u0926"));
}

TEST(BertNormalizer, DropsWhatIsNoText) {
  EXPECT_THAT(Words(std::string_view("a\0b\x01\x7f", 5)), ElementsAre("ab"));
  EXPECT_THAT(Words("a\u200d\ufffd\ue000\u0378z"), ElementsAre("az"));
  EXPECT_THAT(Words("a\xFF\xC3z"), ElementsAre("az"));
}

GgufWriter Hello() {
  return WordPieceVocabulary({kMark + "he", kMark + "hello", "llo", "o", kMark + "!", "h"});
}
constexpr std::uint32_t kHe = 3, kHello = 4, kLlo = 5, kO = 6, kBang = 7;

TEST(WordPiece, SpellsAWordByTheLongestPieces) {
  const auto tokenizer = Loaded(Hello());
  EXPECT_THAT(tokenizer->Encode("Hello helloo!"), ElementsAre(kHello, kHello, kO, kBang));
  EXPECT_THAT(tokenizer->Encode("hello"), ElementsAre(kHello));
  EXPECT_THAT(tokenizer->Encode("hellollo"), ElementsAre(kHello, kLlo));
  EXPECT_THAT(tokenizer->Encode("heo"), ElementsAre(kHe, kO));
}

TEST(WordPiece, MakesAWholeWordUnknown) {
  const auto tokenizer = Loaded(Hello());
  EXPECT_THAT(tokenizer->Encode("hellox hello"), ElementsAre(0, kHello));
  EXPECT_THAT(tokenizer->Encode("o"), ElementsAre(0));  // no word begins so
  EXPECT_THAT(tokenizer->Encode("he" + std::string(98, 'o')), testing::SizeIs(99));
  EXPECT_THAT(tokenizer->Encode("he" + std::string(99, 'o')), ElementsAre(0));
  EXPECT_THAT(tokenizer->Encode(std::string(1 << 20, 'o')), ElementsAre(0));
}

TEST(WordPiece, StandsATextBetweenItsTokens) {
  const auto tokenizer = Loaded(Hello());
  EXPECT_THAT(tokenizer->EncodeText("hello"), ElementsAre(1, kHello, 2));
  EXPECT_THAT(tokenizer->EncodeText(""), ElementsAre(1, 2));
  // Its text does not make them.
  EXPECT_THAT(tokenizer->EncodeText("[CLS]"), ElementsAre(1, 0, 0, 0, 2));
}

TEST(WordPiece, WritesWordsWithASpaceBetween) {
  const auto tokenizer = Loaded(Hello());
  EXPECT_EQ(tokenizer->Decode(tokenizer->EncodeText("HELLO helloo!")), "hello helloo !");
}

TEST(WordPiece, NamesWhatItRefuses) {
  EXPECT_THAT(Refusal(WriteTokens("bert", {{"[UNK]", kControlType}})),
              HasSubstr("tokenizer.ggml.bos_token_id is missing"));
  GgufWriter no_separator = WriteTokens("bert", {{"[UNK]", kControlType}, {"[CLS]", kControlType}});
  no_separator.U32("tokenizer.ggml.cls_token_id", 1);
  EXPECT_THAT(Refusal(no_separator), HasSubstr("tokenizer.ggml.seperator_token_id is missing"));
  GgufWriter no_unknown = WriteTokens("bert", {{"[SEP]", kControlType}, {"[CLS]", kControlType}});
  no_unknown.U32("tokenizer.ggml.cls_token_id", 1).U32("tokenizer.ggml.seperator_token_id", 0);
  EXPECT_THAT(Refusal(no_unknown), HasSubstr("tokenizer.ggml.unknown_token_id is missing"));
}

}  // namespace
}  // namespace fallow::engine
