// Whole generations of the demo model: every token and every digest of the plain CPU backend.
#include "engine/model/model.h"
#include "tests/conformance/backend_conformance.h"
#include "tests/golden/demo_model.h"

namespace fallow::engine {
namespace {

// Greedy and sampled requests, with answers long enough for digests.
std::vector<InferenceRequest> SomeRequests(std::size_t count) {
  auto requests = ReadDemoRequests("batch.jsonl");
  requests.resize(count);
  for (InferenceRequest& request : requests) {
    request.max_tokens = 40;
    if (request.index % 2 == 1)
      request.sampling = {.temperature = 1.7f, .top_p = 0.98f, .top_k = 50, .seed = request.index};
  }
  return requests;
}

std::vector<AttemptResult> GenerateOn(Backend& backend, const std::string& file,
                                      const RunnerOptions& options,
                                      const std::vector<InferenceRequest>& requests) {
  const auto model = Model::Load(ReadWholeFile(DemoFolder() / file), backend);
  if (!model.has_value()) {
    ADD_FAILURE() << model.error().message;
    return {};
  }
  const auto results = Generate(**model, options, requests);
  EXPECT_TRUE(results.has_value()) << (results.has_value() ? "" : results.error().message);
  return results.value_or(std::vector<AttemptResult>{});
}

TEST_P(BackendConformance, GeneratesTheTokensAndDigestsOfTheReference) {
  for (const char* file : {"field-normalizer-q8_0.gguf", "field-normalizer-f16.gguf"}) {
    const auto requests = SomeRequests(10);
    const auto expected = GenerateOn(*reference_, file, {}, requests);
    ASSERT_EQ(expected.size(), requests.size());
    ASSERT_FALSE(expected[0].state_digests.empty());
    EXPECT_EQ(GenerateOn(*subject_, file, {.max_sequence_count = 32}, requests), expected) << file;
  }
}

TEST_P(BackendConformance, GeneratesTheSameAloneAndInABatchOf32) {
  const auto requests = SomeRequests(32);
  const char* const file = "field-normalizer-q8_0.gguf";
  const auto together = GenerateOn(*subject_, file, {.max_sequence_count = 32}, requests);
  const std::vector<InferenceRequest> few(requests.begin(), requests.begin() + 8);
  const auto alone = GenerateOn(*subject_, file, {.max_sequence_count = 1}, few);
  ASSERT_EQ(together.size(), 32u);
  EXPECT_EQ(alone, std::vector<AttemptResult>(together.begin(), together.begin() + 8));
  // A prompt may be computed in pieces of any size.
  EXPECT_EQ(GenerateOn(*subject_, file, {.max_sequence_count = 4, .max_rows_per_step = 7}, few),
            alone);
}

// What a runner plans before it allocates is what 32 sequences then take, within 5 %.
TEST_P(BackendConformance, TakesTheMemoryThatWasPlannedFor32Sequences) {
  const auto model =
      Model::Load(ReadWholeFile(DemoFolder() / "field-normalizer-q8_0.gguf"), *subject_);
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const std::uint64_t before = subject_->used_bytes();
  EXPECT_NEAR(static_cast<double>((*model)->WeightBytes()), static_cast<double>(before),
              0.05 * static_cast<double>(before));
  const auto runner = Runner::Create(**model, {.max_sequence_count = 32});
  ASSERT_TRUE(runner.has_value()) << runner.error().message;
  for (const InferenceRequest& request : SomeRequests(32)) (*runner)->Add(1, request);
  const StepControl control;
  while (!(*runner)->idle()) ASSERT_TRUE((*runner)->Step(control).has_value());
  const auto used = static_cast<double>(subject_->used_bytes());
  EXPECT_NEAR(static_cast<double>((*runner)->plan().bytes()), used, 0.05 * used);
}

}  // namespace
}  // namespace fallow::engine
