// The runner over models that generate: what a request gives must not depend on its company.
#include "engine/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "engine/runner/answer_sequence.h"
#include "protocol/limits.h"
#include "tests/unit/engine/runner_fixture.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

TEST_F(RunnerTest, GivesTheSameBitsAloneAndInAnyBatch) {
  Load({});
  const auto requests = MixedRequests();
  const auto alone = GenerateAll({.max_sequence_count = 1, .max_rows_per_step = 512}, requests);
  ASSERT_EQ(alone.size(), requests.size());
  EXPECT_EQ(GenerateAll({.max_sequence_count = 32, .max_rows_per_step = 128}, requests), alone);
  EXPECT_EQ(GenerateAll({.max_sequence_count = 7, .max_rows_per_step = 9}, requests), alone);
  EXPECT_EQ(GenerateAll({.max_sequence_count = 3, .max_rows_per_step = 3}, requests), alone);
}

TEST_F(RunnerTest, GivesTheSameBitsPlainAndVectorised) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kQ8_0}) {
    const TinyModel tiny{.type = type, .tied = type == WeightType::kF16};
    Load(tiny, {.thread_count = 1, .path = CpuPath::kPlain});
    const auto plain = GenerateAll({}, MixedRequests());
    Load(tiny, {.thread_count = 3});
    EXPECT_EQ(GenerateAll({}, MixedRequests()), plain) << WeightTypeName(type);
  }
}

TEST_F(RunnerTest, GivesADigestForEvery32TokensAndTheRest) {
  Load({});
  for (const std::uint32_t max_tokens : {1u, 31u, 32u, 33u, 64u, 65u}) {
    const auto results = GenerateAll({}, {Ask(0, "x", max_tokens)});
    ASSERT_EQ(results.size(), 1u);
    const std::size_t generated = results[0].token_ids.size();
    EXPECT_EQ(results[0].state_digests.size(),
              (generated + kGeneratedTokensPerDigest - 1) / kGeneratedTokensPerDigest);
  }
  // A longer answer begins with the digests of a shorter one.
  const auto longer = GenerateAll({}, {Ask(0, "x", 65)});
  const auto shorter = GenerateAll({}, {Ask(0, "x", 64)});
  ASSERT_EQ(longer[0].token_ids.size(), 65u) << "the seed no longer gives an answer this long";
  EXPECT_EQ(longer[0].state_digests[0], shorter[0].state_digests[0]);
  EXPECT_EQ(longer[0].state_digests[1], shorter[0].state_digests[1]);
}

TEST_F(RunnerTest, HonoursTheSeed) {
  Load({});
  InferenceRequest request = Ask(0, "x", 20);
  const auto first = GenerateAll({}, {request});
  EXPECT_EQ(GenerateAll({}, {request}), first);
  request.sampling.seed += 1;
  EXPECT_NE(GenerateAll({}, {request})[0].token_ids, first[0].token_ids);
}

TEST_F(RunnerTest, EndsAtMaxTokensAndAtTheContext) {
  Load({.context = 60});
  const auto results = GenerateAll({}, {Ask(0, "x", 5), Ask(1, "x", 0), Ask(2, "x", 1000)});
  EXPECT_EQ(results[0].token_ids.size(), 5u);
  for (const AttemptResult& result : results) {
    if (result.finish_reason == FinishReason::kStop) {
      EXPECT_EQ(result.token_ids.back(), TinyModel::kEndToken);
    } else if (result.request_index > 0) {
      EXPECT_EQ(result.prompt_token_count + result.token_ids.size(), 60u);
    }
  }
}

TEST_F(RunnerTest, EndsBeforeAStopString) {
  Load({});
  InferenceRequest request = Ask(0, "x", 60);
  const std::string whole = GenerateAll({}, {request})[0].text;
  ASSERT_GT(whole.size(), 20u);
  request.stop = {"not in there", whole.substr(10, 3)};
  const AttemptResult stopped = GenerateAll({}, {request})[0];
  EXPECT_EQ(stopped.finish_reason, FinishReason::kStop);
  EXPECT_EQ(stopped.text, whole.substr(0, whole.find(whole.substr(10, 3))));
}

TEST_F(RunnerTest, FinishesARequestThatIsAtFaultWithItsOwnError) {
  Load({.context = 60});
  InferenceRequest silent = Ask(1, "x", 5);
  silent.messages.clear();
  InferenceRequest empty_stop = Ask(2, "x", 5);
  empty_stop.stop = {""};
  const auto results =
      GenerateAll({}, {Ask(0, std::string(100, 'x'), 5), silent, empty_stop, Ask(3, "x", 5)});
  ASSERT_EQ(results.size(), 4u);
  ASSERT_TRUE(results[0].error.has_value());
  EXPECT_THAT(results[0].error->message, HasSubstr("the context of 60"));
  ASSERT_TRUE(results[1].error.has_value());
  EXPECT_THAT(results[1].error->message, HasSubstr("takes messages"));
  ASSERT_TRUE(results[2].error.has_value());
  EXPECT_FALSE(results[3].error.has_value());
}

TEST_F(RunnerTest, EndsOnlyTheRequestWhoseStateOverflows) {
  Load({.weight_sizes = {1, 1e30f, 1}});
  const auto results = GenerateAll({}, {Ask(0, "x", 5), Ask(1, "y", 5)});
  ASSERT_EQ(results.size(), 2u);
  ASSERT_TRUE(results[0].error.has_value());
  EXPECT_THAT(results[0].error->message, HasSubstr("not finite"));
  EXPECT_TRUE(results[0].token_ids.empty());
}

// A stop in the middle of a step loses nothing: the next call computes the same step again.
TEST_F(RunnerTest, GoesOnAfterAStopAsIfThereHadBeenNone) {
  Load({});
  const auto requests = MixedRequests();
  const auto undisturbed = GenerateAll({}, requests);
  const auto runner = NewRunner();
  for (const InferenceRequest& request : requests) runner->Add(1, request);
  std::map<std::uint64_t, AttemptResult> results;
  for (int i = 0; !runner->idle(); ++i) {
    StepControl control;
    if (i % 3 != 0) control.Stop();
    auto finished = runner->Step(control);
    if (!finished.has_value()) {
      ASSERT_TRUE(control.stopped());
      ASSERT_EQ(finished.error().code, ErrorCode::kCancelled);
      continue;
    }
    for (FinishedRequest& one : *finished)
      results[one.result.request_index] = std::move(one.result);
  }
  ASSERT_EQ(results.size(), requests.size());
  for (const auto& [index, result] : results) EXPECT_EQ(result, undisturbed[index]);
}

TEST_F(RunnerTest, ForgetsADroppedTicketAndNoOther) {
  Load({});
  const auto runner = NewRunner({.max_sequence_count = 2});
  for (std::uint64_t i = 0; i < 8; ++i) runner->Add(i % 2, Ask(i, "x", 30));
  const StepControl control;
  ASSERT_TRUE(runner->Step(control).has_value());
  runner->Drop(0);
  std::set<std::uint64_t> indices;
  for (const FinishedRequest& one : RunToEnd(*runner)) {
    EXPECT_EQ(one.ticket, 1u);
    indices.insert(one.result.request_index);
  }
  EXPECT_EQ(indices, (std::set<std::uint64_t>{1, 3, 5, 7}));
}

TEST_F(RunnerTest, IsIdleAfterClearAndTakesNewWork) {
  Load({});
  const auto runner = NewRunner();
  for (std::uint64_t i = 0; i < 50; ++i) runner->Add(1, Ask(i, "x", 30));
  const StepControl control;
  ASSERT_TRUE(runner->Step(control).has_value());
  EXPECT_EQ(runner->progress().active_sequence_count, 32u);
  EXPECT_EQ(runner->progress().waiting_request_count, 18u);
  runner->Clear();
  EXPECT_TRUE(runner->idle());
  runner->Add(2, Ask(0, "x", 3));
  EXPECT_EQ(RunToEnd(*runner).size(), 1u);
}

TEST_F(RunnerTest, CountsPromptAndGeneratedTokens) {
  Load({});
  const auto runner = NewRunner();
  runner->Add(1, Ask(0, "x", 7, 0.0f));
  const auto finished = RunToEnd(*runner);
  ASSERT_EQ(finished.size(), 1u);
  const AttemptResult& result = finished[0].result;
  EXPECT_EQ(runner->progress().prompt_token_count, result.prompt_token_count);
  EXPECT_EQ(runner->progress().generated_token_count, result.token_ids.size());
  runner->Clear();
  EXPECT_EQ(runner->progress(), WorkProgress{}) << "speeds are measured from 0 on";
}

// A vocabulary of one token with a very long spelling.
class LongWinded final : public Tokenizer {
 public:
  std::vector<std::uint32_t> Encode(std::string_view) const override { return {0}; }
  std::vector<std::uint32_t> EncodePrompt(std::span<const PromptPiece> pieces) const override {
    std::string text;
    for (const PromptPiece& piece : pieces) text += piece.text;
    return Encode(text);
  }
  std::vector<std::uint32_t> EncodeText(std::string_view text) const override {
    return Encode(text);
  }
  std::string_view TokenBytes(std::uint32_t) const override { return spelling_; }
  std::uint32_t vocabulary_size() const override { return 1; }
  bool IsEndOfGeneration(std::uint32_t) const override { return false; }

 private:
  std::string spelling_ = std::string(kMaxResultTextBytes / 4, 'x');
};

TEST(AnswerSequence, EndsWithAnErrorWhenItsTextOutgrowsAResult) {
  const LongWinded tokenizer;
  Sampler sampler;
  const auto request = std::make_shared<RunningRequest>();
  request->result.request_index = 7;
  AnswerSequence sequence(request, Ask(7, "x", 0, 0.0f), {0}, 1'000'000, 0, tokenizer, sampler);
  const std::vector<float> one{1.0f};
  int steps = 1;
  while (!sequence.Take(0, one, one) && steps < 100) ++steps;
  EXPECT_EQ(steps, 4);
  EXPECT_TRUE(request->failed);
  EXPECT_EQ(request->result.request_index, 7u);
  EXPECT_TRUE(request->result.text.empty());
  ASSERT_TRUE(request->result.error.has_value());
  EXPECT_THAT(request->result.error->message, HasSubstr(std::to_string(kMaxResultTextBytes)));
}

TEST_F(RunnerTest, SaysThatAModelWithoutATemplateCannotChat) {
  GgufWriter writer;
  TinyModel tiny;
  tiny.WriteKeys(writer);
  Bytes file = tiny.WriteTensors(writer).Write();
  // Rename the key: the file keeps its shape.
  const std::string key = "tokenizer.chat_template";
  const auto at = std::search(file.begin(), file.end(), key.begin(), key.end());
  ASSERT_NE(at, file.end());
  *at = 'T';
  backend = NewCpuBackend({});
  auto loaded = Model::Load(file, *backend);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  model = *std::move(loaded);
  EXPECT_FALSE(model->card().chat);
  const auto results = GenerateAll({}, {Ask(0, "x", 3)});
  ASSERT_TRUE(results[0].error.has_value());
  EXPECT_THAT(results[0].error->message, HasSubstr("no chat template"));
}

}  // namespace
}  // namespace fallow::engine
