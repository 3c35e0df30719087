// Special tokens: where they are recognised, what begins and ends a text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "engine/tokenizer/special_tokens.h"
#include "tests/unit/engine/tokenizer_vocabularies.h"

namespace fallow::engine {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Lt;

constexpr std::uint32_t kAb = 256, kStart = 257, kEnd = 258, kTool = 259, kBos = 260;

GgufWriter Chat() {
  return ByteVocabulary("gpt-2", {"a b"},
                        {{"<|im_start|>", kControlType},
                         {"<|im_end|>", kControlType},
                         {"<tool>", kUserType},
                         {"<bos>", kControlType}});
}

std::vector<std::uint32_t> Prompt(const Tokenizer& tokenizer,
                                  const std::vector<PromptPiece>& pieces) {
  return tokenizer.EncodePrompt(pieces);
}
PromptPiece Template(std::string text) {
  return {std::move(text), true};
}
PromptPiece Message(std::string text) {
  return {std::move(text), false};
}

TEST(EncodePrompt, RecognisesControlTokensInTheTemplatesTextAlone) {
  const auto tokenizer = Loaded(Chat());
  EXPECT_THAT(Prompt(*tokenizer, {Template("<|im_start|>"), Message("ab"), Template("<|im_end|>")}),
              ElementsAre(kStart, kAb, kEnd));
  EXPECT_THAT(Prompt(*tokenizer, {Message("<|im_end|>")}), Each(Lt(kAb)));
}

TEST(EncodePrompt, MakesNoControlTokenAcrossASeam) {
  const auto tokenizer = Loaded(Chat());
  EXPECT_THAT(Prompt(*tokenizer, {Template("<|im_"), Message("end|>")}), Each(Lt(kAb)));
  EXPECT_THAT(Prompt(*tokenizer, {Message("<|im_en"), Template("d|>")}), Each(Lt(kAb)));
  EXPECT_THAT(Prompt(*tokenizer, {Template("<|im"), Message("_"), Template("end|>")}),
              Each(Lt(kAb)));
  // The template's own pieces are one.
  EXPECT_THAT(Prompt(*tokenizer, {Template("<|im_"), Template("end|>")}), ElementsAre(kEnd));
}

TEST(EncodePrompt, MergesTextAcrossSeams) {
  const auto tokenizer = Loaded(Chat());
  EXPECT_THAT(Prompt(*tokenizer, {Template("a"), Message("b")}), ElementsAre(kAb));
}

TEST(EncodePrompt, RecognisesUserDefinedTokensInAllText) {
  const auto tokenizer = Loaded(Chat());
  EXPECT_THAT(Prompt(*tokenizer, {Message("ab<tool>ab")}), ElementsAre(kAb, kTool, kAb));
  EXPECT_THAT(Prompt(*tokenizer, {Message("<to"), Template("ol>")}), ElementsAre(kTool));
  EXPECT_THAT(tokenizer->Encode("<tool>"), ElementsAre(kTool));
  EXPECT_EQ(tokenizer->TokenBytes(kTool), "<tool>");
  EXPECT_EQ(tokenizer->TokenBytes(kStart), "");
}

TEST(EncodePrompt, BeginsWithBosOnce) {
  const auto tokenizer = Loaded(
      Chat().Bool("tokenizer.ggml.add_bos_token", true).U32("tokenizer.ggml.bos_token_id", kBos));
  EXPECT_THAT(Prompt(*tokenizer, {Message("ab")}), ElementsAre(kBos, kAb));
  EXPECT_THAT(Prompt(*tokenizer, {Template("<bos>"), Message("ab")}), ElementsAre(kBos, kAb));
  EXPECT_THAT(Prompt(*tokenizer, {}), ElementsAre(kBos));
  EXPECT_THAT(tokenizer->EncodeText("ab"), ElementsAre(kBos, kAb));
  EXPECT_THAT(tokenizer->Encode("ab"), ElementsAre(kAb));
}

TEST(EncodePrompt, AddsBosByTheRuleWhereTheFileSaysNothing) {
  const std::vector<MadeToken> bos = {{"<bos>", kControlType}};
  EXPECT_THAT(Loaded(ByteVocabulary("llama-bpe", {}, bos).U32("tokenizer.ggml.bos_token_id", 256))
                  ->EncodeText(""),
              ElementsAre(256));
  EXPECT_THAT(Loaded(ByteVocabulary("qwen2", {}, bos).U32("tokenizer.ggml.bos_token_id", 256))
                  ->EncodeText(""),
              ElementsAre());
  EXPECT_THAT(Refusal(ByteVocabulary("tekken", {})),
              HasSubstr("tokenizer.ggml.bos_token_id is missing"));
}

TEST(ByteLevelBpe, TakesAWholeWordWhereTheRuleSaysSo) {
  // "abc" is a token that no merge makes.
  const std::vector<MadeToken> word = {{"abc"}, {"<bos>", kControlType}};
  EXPECT_THAT(
      Loaded(ByteVocabulary("llama-bpe", {"a b"}, word).U32("tokenizer.ggml.bos_token_id", 258))
          ->Encode("abc"),
      ElementsAre(257));
  EXPECT_THAT(Loaded(ByteVocabulary("qwen2", {"a b"}, word))->Encode("abc"), ElementsAre(256, 'c'));
}

TEST(ByteLevelBpe, NeverMergesTextToAControlToken) {
  const auto tokenizer = Loaded(ByteVocabulary("gpt-2", {"a b"}));
  ASSERT_THAT(tokenizer->Encode("ab"), ElementsAre(256));
  std::vector<MadeToken> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back({SpellByte(static_cast<std::uint8_t>(byte))});
  tokens.push_back({"ab", kControlType});
  GgufWriter writer = WriteTokens("gpt2", tokens);
  writer.String("tokenizer.ggml.pre", "gpt-2")
      .Strings("tokenizer.ggml.merges", {"a b"})
      .U32("tokenizer.ggml.eos_token_id", 256);
  EXPECT_THAT(Loaded(writer)->Encode("ab"), ElementsAre('a', 'b'));
}

TEST(ByteLevelBpe, LeavesOutABreakingByteThatHasNoToken) {
  std::vector<MadeToken> tokens;
  for (int byte = 0; byte < 0xC0; ++byte)
    tokens.push_back({SpellByte(static_cast<std::uint8_t>(byte))});
  GgufWriter writer = WriteTokens("gpt2", tokens);
  writer.String("tokenizer.ggml.pre", "gpt-2")
      .Strings("tokenizer.ggml.merges", {})
      .U32("tokenizer.ggml.eos_token_id", 0);
  EXPECT_THAT(Loaded(writer)->Encode("a\xC0z"), ElementsAre('a', 'z'));
}

TEST(EndTokens, AreKnownByKeyAndSpelling) {
  const auto tokenizer = Loaded(Chat().U32("tokenizer.ggml.eot_token_id", kTool));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(0));  // eos
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(kEnd));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(kTool));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(kStart));
}

TEST(EndTokens, AreControlTokensWhateverTheirType) {
  const auto tokenizer =
      Loaded(ByteVocabulary("gpt-2", {}, {{"<end_of_turn>", kUserType}, {"<|eot_id|>"}}));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(256));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(257));
  EXPECT_THAT(Prompt(*tokenizer, {Message("<end_of_turn>")}), Each(Lt(256u)));
  EXPECT_THAT(Prompt(*tokenizer, {Template("<end_of_turn><|eot_id|>")}), ElementsAre(256, 257));
}

TEST(EndTokens, LeaveAnOrdinaryTagToText) {
  const auto tokenizer = Loaded(ByteVocabulary("bloom", {"< /", "</ s", "</s >"}));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(258));
  EXPECT_THAT(tokenizer->Encode("</s>"), ElementsAre(258));
}

TEST(EndTokens, TellAMessagesEndFromTheAnswers) {
  const auto tokenizer = Loaded(ByteVocabulary(
      "gpt-2", {},
      {{"<|end|>", kControlType}, {"<|return|>", kControlType}, {"<|call|>", kControlType}}));
  EXPECT_FALSE(tokenizer->IsEndOfGeneration(256));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(257));
  EXPECT_TRUE(tokenizer->IsEndOfGeneration(258));
}

TEST(Strips, TakeTheSpaceBehindPhi3sTokensAlong) {
  const auto tokenizer =
      Loaded(ByteVocabulary("gpt-2", {"a b"}, {{"<|user|>", kControlType}, {"<s>", kControlType}})
                 .String("general.name", "Phi-3 Mini"));
  EXPECT_THAT(Prompt(*tokenizer, {Template("<|user|> \n"), Message("ab")}), ElementsAre(257, 256));
  EXPECT_THAT(Prompt(*tokenizer, {Template("<s> "), Message("ab")}), ElementsAre(258, ' ', 256));
}

SpecialTokens Specials(const std::vector<std::pair<std::string, SpecialTokens::Scope>>& tokens) {
  SpecialTokens specials;
  for (std::uint32_t i = 0; i < tokens.size(); ++i)
    specials.Add(tokens[i].first, i, tokens[i].second);
  EXPECT_TRUE(specials.Freeze().has_value());
  return specials;
}
std::vector<std::string> Cut(const SpecialTokens& specials, std::string_view text,
                             std::vector<TextRange> trusted = {}) {
  std::vector<std::string> parts;
  for (const TextFragment& fragment : specials.Split(text, trusted)) {
    parts.push_back((fragment.token.has_value() ? std::to_string(*fragment.token) + ":" : "") +
                    std::string(fragment.text));
  }
  return parts;
}
constexpr auto kAny = SpecialTokens::Scope::kAnyText;
constexpr auto kTrusted = SpecialTokens::Scope::kTrustedRuns;

TEST(SpecialTokens, TakeTheLongestFromTheLeft) {
  const SpecialTokens specials =
      Specials({{"aa", kAny}, {"aaa", kAny}, {"abc", kAny}, {"b", kAny}, {"bcd", kAny}});
  EXPECT_THAT(Cut(specials, "aaaaa"), ElementsAre("1:aaa", "0:aa"));
  EXPECT_THAT(Cut(specials, "xabcd"), ElementsAre("x", "2:abc", "d"));
  EXPECT_THAT(Cut(specials, "xbcb"), ElementsAre("x", "3:b", "c", "3:b"));
  EXPECT_THAT(Cut(specials, ""), ElementsAre());
}

TEST(SpecialTokens, FallBackToAShorterOneWhereALongerMayNotStand) {
  const SpecialTokens specials = Specials({{"<a", kAny}, {"<a>", kTrusted}, {"<a>x", kTrusted}});
  EXPECT_THAT(Cut(specials, "<a>x"), ElementsAre("0:<a", ">x"));
  EXPECT_THAT(Cut(specials, "<a>x", {{0, 3}}), ElementsAre("1:<a>", "x"));
  EXPECT_THAT(Cut(specials, "<a>x", {{0, 4}}), ElementsAre("2:<a>x"));
  EXPECT_THAT(Cut(specials, "<a>x<a>", {{4, 7}}), ElementsAre("0:<a", ">x", "1:<a>"));
}

TEST(SpecialTokens, TakeAlongTheSpaceTheyStrip) {
  SpecialTokens specials;
  specials.Add("<l>", 0, kAny);
  specials.Add("<r>", 1, kAny);
  specials.SetStrip(0, {.left = true});
  specials.SetStrip(1, {.right = true});
  ASSERT_TRUE(specials.Freeze().has_value());
  EXPECT_THAT(Cut(specials, "a \n<l> b"), ElementsAre("a", "0:<l>", " b"));
  EXPECT_THAT(Cut(specials, "a <r>\t\n b"), ElementsAre("a ", "1:<r>", "b"));
  EXPECT_THAT(Cut(specials, " <l><r> "), ElementsAre("0:<l>", "1:<r>"));
}

TEST(SpecialTokens, TakeLinearTimeOnTextFullOfTheirBeginnings) {
  std::vector<std::pair<std::string, SpecialTokens::Scope>> tokens;
  for (int i = 0; i < 500; ++i)
    tokens.emplace_back(std::string(2000, 'a') + std::to_string(i), kAny);
  const SpecialTokens specials = Specials(tokens);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Cut(specials, std::string(1 << 20, 'a')).size(), 1u);
  // Some 50 ms; a look at every place by itself would take two thousand times that.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(SpecialTokens, AreLimitedInBytes) {
  SpecialTokens specials;
  specials.Add(std::string(kMaxMatchedSpellingBytes + 1, 'a'), 0, kAny);
  const auto frozen = specials.Freeze();
  ASSERT_FALSE(frozen.has_value());
  EXPECT_THAT(frozen.error().message, HasSubstr("at most 4194304"));
}

TEST(Vocabulary, NamesTheEntryItRefuses) {
  const auto twice = [](std::string spelling) {
    return ByteVocabulary("gpt-2", {}, {{spelling}, {"x1"}, {spelling}});
  };
  EXPECT_THAT(Refusal(twice("twin")),
              HasSubstr("tokenizer.ggml.tokens: entries 256 and 258 are both \"twin\""));
  EXPECT_THAT(Refusal(twice("")), "accepted");  // nothing spells them
  EXPECT_THAT(Refusal(ByteVocabulary("gpt-2", {}, {{"xy", 7}})),
              HasSubstr("tokenizer.ggml.token_type: entry 256 is 7; 0 to 6 are known"));
  EXPECT_THAT(Refusal(ByteVocabulary("gpt-2", {}, {{std::string(5000, 'x')}})),
              HasSubstr("entry 256 has 5000 bytes; at most 4096"));
  EXPECT_THAT(Refusal(ByteVocabulary("gpt-2", {}).U32("tokenizer.ggml.eot_token_id", 999)),
              HasSubstr("tokenizer.ggml.eot_token_id: 999 is beyond the 256 tokens"));
}

TEST(ByteLevelBpe, NamesTheRuleItDoesNotKnowAndThoseItDoes) {
  const auto unknown = TryLoad(ByteVocabulary("shiny-new", {}));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnimplemented);
  EXPECT_THAT(unknown.error().message, HasSubstr("\"shiny-new\" is not known"));
  EXPECT_THAT(unknown.error().message, HasSubstr("gpt-2, gpt-4o"));
}

}  // namespace
}  // namespace fallow::engine
