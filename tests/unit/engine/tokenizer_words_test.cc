// The rules by which text is cut into words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/word_splitter.h"

namespace fallow::engine {
namespace {

using ::testing::ElementsAre;

std::vector<std::string_view> Split(std::string_view rule, std::string_view text) {
  const WordRule* found = FindWordRule(rule);
  if (found == nullptr) return {"no such rule"};
  const auto splitter = NewWordSplitter(*found);
  EXPECT_TRUE(splitter.has_value()) << splitter.error().message;
  return splitter.has_value() ? (*splitter)->Split(text) : std::vector<std::string_view>();
}

TEST(WordSplitter, CutsAsTheGpt2RuleSays) {
  EXPECT_THAT(Split("gpt-2", "Hello world, it's 2024!"),
              ElementsAre("Hello", " world", ",", " it", "'s", " 2024", "!"));
  EXPECT_THAT(Split("gpt-2", "a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(Split("gpt-2", "a \n\n b"), ElementsAre("a", " \n\n", " b"));
  EXPECT_THAT(Split("gpt-2", "tail   "), ElementsAre("tail", "   "));
  EXPECT_THAT(Split("gpt-2", "'T''ll"), ElementsAre("'", "T", "''", "ll"));
  EXPECT_THAT(Split("gpt-2", "\u00e9t\u00e9 \u65e5\u672c"),
              ElementsAre("\u00e9t\u00e9", " \u65e5\u672c"));
  EXPECT_THAT(Split("gpt-2", ""), ElementsAre());
}

TEST(WordSplitter, KeepsEveryByteOfBrokenUtf8) {
  EXPECT_THAT(Split("gpt-2", "ab\xFF\xC3(c"), ElementsAre("ab", "\xFF", "\xC3", "(", "c"));
  EXPECT_THAT(Split("gpt-2", "\xE6\x97"), ElementsAre("\xE6\x97"));
  // The passes of a rule go over the whole characters alone.
  EXPECT_THAT(Split("starcoder",
                    "1\xFF"
                    "2"),
              ElementsAre("1", "\xFF", "2"));
}

TEST(WordSplitter, TakesContractionsInAnyCaseWhereTheRuleDoes) {
  EXPECT_THAT(Split("llama-bpe", "WE'LL don't"), ElementsAre("WE", "'LL", " don", "'t"));
  EXPECT_THAT(Split("gpt-2", "WE'LL"), ElementsAre("WE", "'", "LL"));
  // There they stay with their word.
  EXPECT_THAT(Split("gpt-4o", "WE'LL don't"), ElementsAre("WE'LL", " don't"));
  EXPECT_THAT(Split("tekken", "don't"), ElementsAre("don", "'t"));
}

TEST(WordSplitter, GroupsDigitsAsTheRuleSays) {
  EXPECT_THAT(Split("llama-bpe", "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(Split("qwen2", "123"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Split("gpt-2", "1234567"), ElementsAre("1234567"));
  EXPECT_THAT(Split("falcon", "1234567"), ElementsAre("123", "456", "7"));
  EXPECT_THAT(Split("deepseek-v3", "1234"), ElementsAre("123", "4"));
  EXPECT_THAT(Split("starcoder", "a 12"), ElementsAre("a", " ", "1", "2"));
  // From the end, as people write thousands.
  EXPECT_THAT(Split("afmoe", "1234567"), ElementsAre("1", "234", "567"));
  EXPECT_THAT(Split("superbpe", "x 12345 y"), ElementsAre("x ", "12", "345", " y"));
  EXPECT_THAT(Split("tiny_aya", "1234 1234a"), ElementsAre("1", "234", " ", "123", "4", "a"));
}

TEST(WordSplitter, LeavesNewlinesToTheWordTheRuleGivesThemTo) {
  EXPECT_THAT(Split("llama-bpe", "a!\n\nb"), ElementsAre("a", "!\n\n", "b"));
  EXPECT_THAT(Split("llama-bpe", "a \n \nb"), ElementsAre("a", " \n \n", "b"));
  EXPECT_THAT(Split("seed-coder", "a!\nb"), ElementsAre("a", "!", "\n", "b"));
  EXPECT_THAT(Split("bailingmoe", "\n\n\na"), ElementsAre("\n\n\n", "a"));
  EXPECT_THAT(Split("deepseek-llm", "a\n\nb  "), ElementsAre("a", "\n", "\n", "b", "  "));
  EXPECT_THAT(Split("llama-bpe", "\r\n\tx"), ElementsAre("\r\n", "\tx"));
}

TEST(WordSplitter, EndsWordsWhereSmallLettersEndInAnyScript) {
  EXPECT_THAT(Split("gpt-4o", "camelCase HTTPServer"), ElementsAre("camel", "Case", " HTTPServer"));
  EXPECT_THAT(Split("tekken", "\u00e9t\u00e9\u00c9T\u00c9"),
              ElementsAre("\u00e9t\u00e9", "\u00c9T\u00c9"));
  EXPECT_THAT(Split("kimi-k2", "abc\u4e2d\u6587Def"), ElementsAre("abc", "\u4e2d\u6587", "Def"));
}

TEST(WordSplitter, TellsMarksFromLettersWhereTheRuleDoes) {
  const std::string decomposed = "e\u0301a";
  EXPECT_THAT(Split("qwen2", decomposed), ElementsAre("e", "\u0301a"));
  EXPECT_THAT(Split("qwen35", decomposed), ElementsAre(decomposed));
  EXPECT_THAT(Split("deepseek-v3", decomposed), ElementsAre(decomposed));
}

TEST(WordSplitter, KnowsTheWhiteSpaceOfUnicode) {
  // U+00A0 and U+3000 are white space, U+180E and U+200B are not.
  EXPECT_THAT(Split("gpt-2", "a\u00a0\u3000b"), ElementsAre("a", "\u00a0", "\u3000", "b"));
  EXPECT_THAT(Split("gpt-2", "a\u180e\u200b!"), ElementsAre("a", "\u180e\u200b!"));
}

TEST(WordSplitter, KeepsJoinedEmojiTogether) {
  const std::string family = "\U0001F468\u200d\U0001F469\u200d\U0001F467";
  EXPECT_THAT(Split("llama-bpe", "a " + family + "\ufe0f!"),
              ElementsAre("a", " " + family + "\ufe0f!"));
}

// The table spells some patterns in another way than their makers, so that they take linear time.
// Both must cut alike.
TEST(WordSplitter, RewrittenPatternsCutAsThePublishedOnes) {
  struct Published {
    std::string_view rule;
    std::string_view pattern;
  };
#define PUBLISHED_TAIL R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define CAPITALS R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define SMALLS R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define FRONT R"([^\r\n\p{L}\p{N}]?)"
#define SHORTENED R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
  constexpr Published kPublished[] = {
      {"gpt-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
      {"llama-bpe", SHORTENED "|" FRONT R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
                              R"(\s*[\r\n]+|\s+(?!\S)|\s+)"},
      {"tekken",
       FRONT CAPITALS "*" SMALLS "+|" FRONT CAPITALS "+" SMALLS R"(*|\p{N}|)" PUBLISHED_TAIL},
      {"gpt-4o", FRONT CAPITALS "*" SMALLS "+" SHORTENED "?|" FRONT CAPITALS "+" SMALLS
                                "*" SHORTENED R"(?|\p{N}{1,3}|)" PUBLISHED_TAIL},
      {"exaone-moe", SHORTENED "|" FRONT R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|)"
                               R"( ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"},
  };
  std::mt19937 random(1);
  const auto text_of = [&](std::uint32_t pieces) {
    static constexpr std::string_view kPieces[] = {
        "a", "B",      "\u00e9", "\u00c9", "\u01c5", "\u02b0", "\u4e2d", "\u0301",     "\u0903",
        "1", "\u0661", "\u2167", " ",      "  ",     "\n",     "\r",     "\t",         "\u00a0",
        "'", "'s",     "'LL",    "/",      "!",      "$",      "\u200d", "\U0001F600", "\u0378"};
    std::string text;
    while (pieces-- > 0) text += kPieces[random() % std::size(kPieces)];
    return text;
  };
  for (const Published& published : kPublished) {
    const WordPass pass = {published.pattern};
    const auto wanted = NewWordSplitter({.passes = {&pass, 1}});
    const auto ours = NewWordSplitter(*FindWordRule(published.rule));
    ASSERT_TRUE(wanted.has_value() && ours.has_value()) << published.rule;
    for (int i = 0; i < 5000; ++i) {
      const std::string text = text_of(random() % 12);
      ASSERT_EQ((*ours)->Split(text), (*wanted)->Split(text)) << published.rule << ": " << text;
    }
  }
}

std::vector<std::string> AllRules() {
  std::vector<std::string> rules;
  std::string names = KnownWordRules() + ", ";
  for (std::size_t at; (at = names.find(", ")) != std::string::npos; names.erase(0, at + 2))
    rules.push_back(names.substr(0, at));
  return rules;
}

TEST(WordRules, AreKnownByManyNames) {
  EXPECT_GT(AllRules().size(), 50u);
  EXPECT_EQ(FindWordRule("no such rule"), nullptr);
  EXPECT_EQ(FindWordRule(""), nullptr);
}

TEST(WordRules, AllLoseNothing) {
  for (const std::string& rule : AllRules()) {
    const auto splitter = NewWordSplitter(*FindWordRule(rule));
    ASSERT_TRUE(splitter.has_value()) << splitter.error().message;
    std::mt19937 random(1);
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (std::uint32_t left = random() % 40; left > 0; --left) {
        if (random() % 2 == 0) {
          AppendUtf8(random() % 0xD800, text);
        } else {
          text += static_cast<char>(random() % 3 == 0 ? random() : ' ' + random() % 90);
        }
      }
      std::string joined;
      for (const std::string_view word : (*splitter)->Split(text)) {
        ASSERT_FALSE(word.empty()) << rule;
        joined += word;
      }
      ASSERT_EQ(joined, text) << rule;
    }
  }
}

}  // namespace
}  // namespace fallow::engine
