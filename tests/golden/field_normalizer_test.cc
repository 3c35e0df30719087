// Whole generations of the demo model on the CPU backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/cpu/cpu_backend.h"
#include "tests/golden/demo_model.h"

namespace fallow::engine {
namespace {

struct LoadedModel {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

LoadedModel Load(const CpuBackendOptions& options,
                 const std::string& file = "field-normalizer-q8_0.gguf") {
  LoadedModel loaded{NewCpuBackend(options), nullptr};
  auto model = Model::Load(ReadWholeFile(DemoFolder() / file), *loaded.backend);
  EXPECT_TRUE(model.has_value()) << (model.has_value() ? "" : model.error().message);
  if (model.has_value()) loaded.model = *std::move(model);
  return loaded;
}

std::vector<AttemptResult> GenerateAll(Model& model, const RunnerOptions& options,
                                       const std::vector<InferenceRequest>& requests) {
  auto results = Generate(model, options, requests);
  EXPECT_TRUE(results.has_value()) << (results.has_value() ? "" : results.error().message);
  return results.value_or(std::vector<AttemptResult>{});
}

std::size_t CountRight(const std::vector<AttemptResult>& results,
                       const std::string& expected_file) {
  const auto expected = ReadJsonLines(DemoFolder() / expected_file);
  std::size_t right = 0;
  for (std::size_t i = 0; i < results.size(); ++i)
    right += results[i].text == expected[i]["answer"] ? 1 : 0;
  return right;
}

// An independent engine's answers: other arithmetic may tip a close choice, but hardly ever.
TEST(FieldNormalizer, GivesTheTokensOfAnIndependentEngine) {
  const LoadedModel loaded = Load({});
  const auto results = GenerateAll(*loaded.model, {}, ReadDemoRequests("batch.jsonl"));
  const auto peer = ReadJsonLines(DemoFolder() / "answers-llama.cpp.jsonl");
  ASSERT_EQ(results.size(), peer.size());
  std::size_t same = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].prompt_token_count, peer[i]["prompt_tokens"].get<std::uint32_t>());
    EXPECT_EQ(results[i].finish_reason, FinishReason::kStop);
    auto tokens = results[i].token_ids;
    tokens.pop_back();  // the end token, which the peer does not list
    same += tokens == peer[i]["ids"].get<std::vector<std::uint32_t>>() ? 1 : 0;
  }
  RecordProperty("same_as_peer", static_cast<int>(same));
  EXPECT_GE(same, peer.size() - 2) << same << " of " << peer.size();
  const std::size_t right = CountRight(results, "expected.jsonl");
  RecordProperty("right_answers", static_cast<int>(right));
  EXPECT_GE(right, 195u);
}

TEST(FieldNormalizer, AnswersAsAccuratelyWithF16Weights) {
  const LoadedModel loaded = Load({}, "field-normalizer-f16.gguf");
  const auto results = GenerateAll(*loaded.model, {}, ReadDemoRequests("batch.jsonl"));
  EXPECT_GE(CountRight(results, "expected.jsonl"), 195u);
}

TEST(FieldNormalizer, AnswersTheLongBatchAsAccurately) {
  const LoadedModel loaded = Load({});
  const auto results = GenerateAll(*loaded.model, {}, ReadDemoRequests("batch-2000.jsonl"));
  const std::size_t right = CountRight(results, "expected-2000.jsonl");
  RecordProperty("right_answers", static_cast<int>(right));
  EXPECT_GE(right, 1951u);
}

// Greedy and sampled requests with long answers, so that digests, pages and stops all take part.
std::vector<InferenceRequest> SomeRequests() {
  auto requests = ReadDemoRequests("batch.jsonl");
  requests.resize(40);
  for (InferenceRequest& request : requests) {
    request.max_tokens = 48;
    if (request.index % 2 == 1)
      request.sampling = {.temperature = 1.7f, .top_p = 0.98f, .top_k = 50, .seed = request.index};
  }
  return requests;
}

TEST(FieldNormalizer, GivesTheSameBitsAloneAndInABatchOf32) {
  const LoadedModel loaded = Load({});
  const auto alone = GenerateAll(*loaded.model, {.max_sequence_count = 1}, SomeRequests());
  EXPECT_EQ(GenerateAll(*loaded.model, {.max_sequence_count = 32}, SomeRequests()), alone);
}

TEST(FieldNormalizer, GivesTheSameBitsPlainAndVectorised) {
  const LoadedModel best = Load({});
  const LoadedModel plain = Load({.path = CpuPath::kPlain});
  EXPECT_EQ(GenerateAll(*best.model, {}, SomeRequests()),
            GenerateAll(*plain.model, {}, SomeRequests()));
}

// The bits of the contract as they were when it was written. A change here breaks every recorded
// result.
TEST(FieldNormalizer, GivesTheBitsOfTheContract) {
  const LoadedModel loaded = Load({});
  Sha256 all;
  for (const AttemptResult& result : GenerateAll(*loaded.model, {}, SomeRequests())) {
    for (const std::uint32_t token : result.token_ids) all.Update(std::to_string(token) + " ");
    for (const Digest& digest : result.state_digests) all.Update(digest.bytes);
  }
  EXPECT_EQ(all.Finish().Hex(), "3dee031366ce0572499020bcb6005d0b1cd0589cd81b3034360daa9de52deb39");
}

}  // namespace
}  // namespace fallow::engine
