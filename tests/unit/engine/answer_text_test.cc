#include "engine/runner/answer_text.h"

#include <gtest/gtest.h>

namespace fallow::engine {
namespace {

TEST(AnswerText, JoinsBytesOfSeveralTokensToOneCharacter) {
  AnswerText text({});
  EXPECT_FALSE(text.Append("a\xF0\x9F"));
  EXPECT_EQ(text.text(), "a");
  EXPECT_FALSE(text.Append("\x98\x80z"));
  EXPECT_EQ(text.text(), "a\xF0\x9F\x98\x80z");
}

TEST(AnswerText, ReplacesBrokenAndUnfinishedBytes) {
  AnswerText text({});
  text.Append("\xFFok\xE6\x97");
  text.Append("!\xC3");
  text.Finish();
  EXPECT_EQ(text.text(), "\xEF\xBF\xBDok\xEF\xBF\xBD!\xEF\xBF\xBD");
}

TEST(AnswerText, EndsBeforeAStopStringThatSpansTokens) {
  AnswerText text({"END"});
  EXPECT_FALSE(text.Append("one E"));
  EXPECT_FALSE(text.Append("N"));
  EXPECT_TRUE(text.Append("D two"));
  EXPECT_EQ(text.text(), "one ");
}

TEST(AnswerText, EndsBeforeTheFirstOfSeveralStopStrings) {
  AnswerText text({"late", "x", "\n\n"});
  EXPECT_FALSE(text.Append("ab\n"));
  EXPECT_TRUE(text.Append("\nxlate"));
  EXPECT_EQ(text.text(), "ab");
  EXPECT_TRUE(text.Append("more"));
  EXPECT_EQ(text.text(), "ab");
}

TEST(AnswerText, FindsAStopStringInsideABytesCharacterOnlyWhenWhole) {
  AnswerText text({"\xC3\xA9"});  // é
  EXPECT_FALSE(text.Append("caf\xC3"));
  EXPECT_TRUE(text.Append("\xA9s"));
  EXPECT_EQ(text.text(), "caf");
}

TEST(AnswerText, IsEmptyWhenItStartsWithAStopString) {
  AnswerText text({"stop"});
  EXPECT_TRUE(text.Append("stop"));
  EXPECT_EQ(text.text(), "");
}

}  // namespace
}  // namespace fallow::engine
