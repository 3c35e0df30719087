#include "coordinator/core/result_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/digest.h"

namespace fallow {
namespace {

using testing::HasSubstr;

AttemptResult Honest(std::size_t token_count = 3) {
  AttemptResult result;
  result.attempt = AttemptId("att_1");
  result.text = "yes";
  result.token_ids.assign(token_count, 7);
  result.state_digests.resize((token_count + 31) / 32);
  result.prompt_token_count = 5;
  return result;
}

TEST(ResultVerifier, TakesWhatCouldBeTrue) {
  for (const std::size_t tokens : {1u, 31u, 32u, 33u, 50u}) {
    const auto judged = JudgeAttempt(Honest(tokens), {50, 64});
    EXPECT_EQ(judged.verdict, Verdict::kCanonical) << tokens;
    EXPECT_EQ(judged.result, Honest(tokens));
  }
  AttemptResult full = Honest(50);
  full.finish_reason = FinishReason::kLength;
  EXPECT_EQ(JudgeAttempt(full, {50, 64}).verdict, Verdict::kCanonical);
  // The context is full before the limit.
  EXPECT_EQ(JudgeAttempt(full, {64, 55}).verdict, Verdict::kCanonical);
}

TEST(ResultVerifier, RefusesWhatCannotBeTrueAndDropsItsContent) {
  struct Lie {
    const char* reason;
    std::function<void(AttemptResult&)> tell;
  };
  const Lie lies[] = {
      {"no token", [](auto& result) { result.token_ids.clear(); }},
      {"at most 50", [](auto& result) { result = Honest(51); }},
      {"state digests", [](auto& result) { result.state_digests.clear(); }},
      {"state digests", [](auto& result) { result.state_digests.resize(2); }},
      {"empty prompt", [](auto& result) { result.prompt_token_count = 0; }},
      {"context of 64", [](auto& result) { result.prompt_token_count = 63; }},
      {"ended for length", [](auto& result) { result.finish_reason = FinishReason::kLength; }},
      {"not UTF-8", [](auto& result) { result.text = "\xff"; }},
      {"bytes for 3 tokens", [](auto& result) { result.text.assign(3 * 1024 + 1, 'a'); }},
  };
  for (const Lie& lie : lies) {
    AttemptResult result = Honest();
    lie.tell(result);
    const auto judged = JudgeAttempt(result, {50, 64});
    EXPECT_EQ(judged.verdict, Verdict::kRetry) << lie.reason;
    ASSERT_TRUE(judged.result.error.has_value()) << lie.reason;
    EXPECT_THAT(judged.result.error->message, HasSubstr(lie.reason));
    EXPECT_EQ(judged.result.attempt, result.attempt);
    EXPECT_TRUE(judged.result.text.empty() && judged.result.token_ids.empty()) << lie.reason;
  }
}

TEST(ResultVerifier, FailsARequestThatIsWrongAndRetriesWhatMayBeTheDevice) {
  AttemptResult result = Honest();
  result.error = Error{ErrorCode::kInvalidArgument, "the prompt is too long"};
  EXPECT_EQ(JudgeAttempt(result, {50, 64}).verdict, Verdict::kCanonical);
  EXPECT_TRUE(JudgeAttempt(result, {50, 64}).result.text.empty());
  result.error->code = ErrorCode::kInternal;
  EXPECT_EQ(JudgeAttempt(result, {50, 64}).verdict, Verdict::kRetry);
  result.error->message = "\xff";
  EXPECT_THAT(JudgeAttempt(result, {50, 64}).result.error->message, HasSubstr("unreadable"));
}

}  // namespace
}  // namespace fallow
