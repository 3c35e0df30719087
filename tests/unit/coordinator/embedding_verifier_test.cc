// What vectors an honest device may send.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "coordinator/core/result_verifier.h"

namespace fallow {
namespace {

using testing::HasSubstr;

constexpr AttemptBounds kBounds = {
    .max_tokens = 0, .context_length = 64, .input_count = 2, .embedding_length = 3};

void Commit(AttemptResult& result) {
  result.state_digests.clear();
  for (const auto& vector : result.embeddings) result.state_digests.push_back(VectorDigest(vector));
}

AttemptResult Honest() {
  AttemptResult result;
  result.attempt = AttemptId("att_1");
  result.embeddings = {{0.6f, -0.8f, 0.0f}, {0.0f, 0.0f, 1.0f}};
  result.prompt_token_count = 9;
  Commit(result);
  return result;
}

TEST(EmbeddingVerifier, TakesWhatCouldBeTrue) {
  EXPECT_EQ(JudgeAttempt(Honest(), kBounds).verdict, Verdict::kCanonical);
  EXPECT_EQ(JudgeAttempt(Honest(), kBounds).result, Honest());
  // Rounding may take a vector's length a little off 1.
  AttemptResult rounded = Honest();
  rounded.embeddings[1][2] = 1.0005f;
  Commit(rounded);
  EXPECT_EQ(JudgeAttempt(rounded, kBounds).verdict, Verdict::kCanonical);
  // A state of zeros stays one.
  AttemptResult zeros = Honest();
  zeros.embeddings[0].assign(3, 0.0f);
  Commit(zeros);
  EXPECT_EQ(JudgeAttempt(zeros, kBounds).verdict, Verdict::kCanonical);
  // A model whose card does not say how long its vectors are.
  AttemptBounds unknown = kBounds;
  unknown.embedding_length = 0;
  EXPECT_EQ(JudgeAttempt(Honest(), unknown).verdict, Verdict::kCanonical);
}

TEST(EmbeddingVerifier, RefusesWhatCannotBeTrueAndDropsItsContent) {
  struct Lie {
    const char* reason;
    std::function<void(AttemptResult&)> tell;
  };
  const auto set = [](float value) {
    return [value](AttemptResult& result) {
      result.embeddings[1][2] = value;
      Commit(result);
    };
  };
  const Lie lies[] = {
      {"1 vectors for 2 inputs",
       [](auto& result) {
         result.embeddings.pop_back();
         Commit(result);
       }},
      {"0 vectors for 2 inputs",
       [](auto& result) {
         result = AttemptResult{};
         result.text = "an answer";
         result.token_ids = {1};
         result.state_digests.resize(1);
         result.prompt_token_count = 5;
       }},
      {"vector 1 has 4 values, the model's have 3",
       [](auto& result) {
         result.embeddings[1].push_back(0.0f);
         Commit(result);
       }},
      {"vector 1 has the norm 0.5 instead of 1", set(0.5f)},
      {"vector 1 has the norm", set(std::numeric_limits<float>::infinity())},
      {"vector 1 has the norm", set(std::numeric_limits<float>::quiet_NaN())},
      {"vector 1 is not what its digest says",
       [](auto& result) { result.embeddings[1][2] = 0.9999f; }},
      {"1 digests for 2 vectors", [](auto& result) { result.state_digests.pop_back(); }},
      {"a text beside its vectors", [](auto& result) { result.text = "and"; }},
      {"1 tokens read for 2 inputs", [](auto& result) { result.prompt_token_count = 1; }},
      {"129 tokens read for 2 inputs in a context of 64",
       [](auto& result) { result.prompt_token_count = 129; }},
  };
  for (const Lie& lie : lies) {
    AttemptResult result = Honest();
    lie.tell(result);
    const auto judged = JudgeAttempt(result, kBounds);
    EXPECT_EQ(judged.verdict, Verdict::kRetry) << lie.reason;
    ASSERT_TRUE(judged.result.error.has_value()) << lie.reason;
    EXPECT_THAT(judged.result.error->message, HasSubstr(lie.reason));
    EXPECT_TRUE(judged.result.embeddings.empty() && judged.result.state_digests.empty());
  }
}

TEST(EmbeddingVerifier, RefusesVectorsWhereAnAnswerWasDue) {
  const auto judged = JudgeAttempt(Honest(), {.max_tokens = 50, .context_length = 64});
  EXPECT_EQ(judged.verdict, Verdict::kRetry);
  EXPECT_THAT(judged.result.error->message, HasSubstr("vectors where an answer was due"));
}

}  // namespace
}  // namespace fallow
