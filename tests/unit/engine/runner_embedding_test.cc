// The runner over models that embed: a text's vector must not depend on its company.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/runner/memory_plan.h"
#include "tests/unit/engine/runner_fixture.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

// A tiny model that embeds.
Bytes Embedder(std::uint32_t pooling, bool causal = true, std::uint32_t context = 300) {
  GgufWriter writer;
  const TinyModel tiny{.context = context};
  tiny.WriteKeys(writer);
  writer.U32("llama.pooling_type", pooling).Bool("llama.attention.causal", causal);
  return tiny.WriteTensors(writer).Write();
}

InferenceRequest Embed(std::uint64_t index, std::vector<std::string> texts) {
  InferenceRequest request{.index = index};
  for (std::string& text : texts) request.inputs.push_back({.text = std::move(text)});
  return request;
}

TEST_F(RunnerTest, EmbedsAloneAndInAnyBatchWithTheSameBits) {
  for (const auto& [pooling, causal] :
       {std::pair{1u, true}, {2u, true}, {3u, true}, {1u, false}, {2u, false}}) {
    LoadFile(Embedder(pooling, causal));
    std::vector<InferenceRequest> requests;
    for (std::uint64_t i = 0; i < 9; ++i) {
      requests.push_back(Embed(i, {std::string(1 + i * 37 % 290, static_cast<char>('a' + i)), "and",
                                   std::string(1 + i, 'z')}));
    }
    const auto alone = GenerateAll({.max_sequence_count = 1, .max_rows_per_step = 300}, requests);
    ASSERT_EQ(alone.size(), requests.size());
    for (const AttemptResult& result : alone) {
      ASSERT_FALSE(result.error.has_value()) << result.error->message;
      ASSERT_EQ(result.embeddings.size(), 3u);
      ASSERT_EQ(result.state_digests.size(), 3u);
      for (const std::vector<float>& vector : result.embeddings) {
        ASSERT_EQ(vector.size(), model->card().embedding_length);
        double squares = 0;
        for (const float value : vector) squares += static_cast<double>(value) * value;
        EXPECT_NEAR(squares, 1, 1e-6);
      }
    }
    EXPECT_NE(alone[0].embeddings, alone[1].embeddings);
    EXPECT_EQ(GenerateAll({.max_sequence_count = 32, .max_rows_per_step = 128}, requests), alone);
    EXPECT_EQ(GenerateAll({.max_sequence_count = 3, .max_rows_per_step = 7}, requests), alone);
  }
}

// All of a text in one step takes buffers for as many rows: short texts need no more than their
// own.
TEST_F(RunnerTest, LooksAheadOverShorterTextsWhenMemoryIsShort) {
  LoadFile(Embedder(1, false, 9000));
  RunnerOptions tight;
  tight.memory_bytes = (std::uint64_t{2} << 20);
  const auto runner = NewRunner(tight);
  const WorkspaceSize& size = runner->plan().workspace;
  EXPECT_LE(runner->plan().workspace_bytes, tight.memory_bytes);
  EXPECT_EQ(size.max_rows, size.page_count * kPagePositions);
  const std::vector<InferenceRequest> requests{Embed(0, {std::string(size.max_rows, 'x')}),
                                               Embed(1, {std::string(size.max_rows + 1, 'x')}),
                                               Embed(2, {std::string(8193, 'x')})};
  const auto results = GenerateAll(tight, requests);
  const auto plenty = GenerateAll({}, requests);
  ASSERT_EQ(results.size(), 3u);
  ASSERT_FALSE(plenty[0].error.has_value() || plenty[1].error.has_value());
  EXPECT_EQ(results[0], plenty[0]);
  EXPECT_EQ(results[1].error->code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(results[2].error->code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(results[2], plenty[2]);
}

TEST_F(RunnerTest, LetsNoShortTextsKeepALongOneOut) {
  LoadFile(Embedder(1, false));
  const auto runner = NewRunner({.max_sequence_count = 4});
  const std::uint32_t longest = model->card().context_length;
  ASSERT_EQ(runner->plan().workspace.max_rows, longest);
  runner->Add(0, Embed(0, {std::string(longest, 'x')}));
  for (std::uint64_t ticket = 1; ticket < 20; ++ticket) {
    InferenceRequest one{.index = ticket};
    one.inputs.push_back({.token_ids = {7}});
    runner->Add(ticket, one);
  }
  const StepControl control;
  const auto finished = runner->Step(control);
  ASSERT_TRUE(finished.has_value());
  ASSERT_EQ(finished->size(), 1u);
  EXPECT_EQ(finished->front().ticket, 0u);
  EXPECT_EQ(RunToEnd(*runner).size(), 19u);
}

TEST_F(RunnerTest, EmbedsTokensAsItDoesTheirText) {
  LoadFile(Embedder(1));
  InferenceRequest tokens{.index = 1};
  tokens.inputs.push_back({.token_ids = model->tokenizer().EncodeText("some text")});
  const auto results = GenerateAll({}, {Embed(0, {"some text"}), tokens});
  EXPECT_EQ(results[0].embeddings, results[1].embeddings);
  EXPECT_EQ(results[0].prompt_token_count, tokens.inputs[0].token_ids.size());
}

TEST_F(RunnerTest, FinishesAnEmbeddingRequestThatIsAtFaultWithItsOwnError) {
  LoadFile(Embedder(1));
  InferenceRequest beyond{.index = 2};
  beyond.inputs.push_back({.token_ids = {5, 100'000}});
  const auto results = GenerateAll(
      {}, {Embed(0, {"fine", std::string(301, 'x')}), Ask(1, "x", 3), beyond, Embed(3, {"fine"})});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_THAT(results[0].error->message, HasSubstr("input 1 has 301 tokens"));
  EXPECT_THAT(results[1].error->message, HasSubstr("the model embeds"));
  EXPECT_THAT(results[2].error->message, HasSubstr("token 100000"));
  EXPECT_FALSE(results[3].error.has_value());
  Load({});
  EXPECT_THAT(GenerateAll({}, {Embed(0, {"x"})})[0].error->message,
              HasSubstr("the model generates"));
}

}  // namespace
}  // namespace fallow::engine
