// The runner on tiny and demo models: what a request gives must not depend on its company.
#include "engine/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/cpu/cpu_backend.h"
#include "engine/runner/answer_sequence.h"
#include "engine/runner/memory_plan.h"
#include "protocol/limits.h"
#include "tests/golden/demo_model.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

struct RunnerTest : public ::testing::Test {
  void Load(const TinyModel& tiny, const CpuBackendOptions& options = {}) {
    model.reset();  // before what it lives on
    backend = NewCpuBackend(options);
    auto loaded = Model::Load(tiny.Write(), *backend);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    model = *std::move(loaded);
  }

  void LoadFile(const Bytes& file) {
    model.reset();
    backend = NewCpuBackend({});
    auto loaded = Model::Load(file, *backend);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    model = *std::move(loaded);
  }

  std::unique_ptr<Runner> NewRunner(const RunnerOptions& options = {}) {
    auto runner = Runner::Create(*model, options);
    EXPECT_TRUE(runner.has_value()) << (runner.has_value() ? "" : runner.error().message);
    return *std::move(runner);
  }

  std::vector<AttemptResult> GenerateAll(const RunnerOptions& options,
                                         const std::vector<InferenceRequest>& requests) {
    auto results = Generate(*model, options, requests);
    EXPECT_TRUE(results.has_value()) << (results.has_value() ? "" : results.error().message);
    return results.value_or(std::vector<AttemptResult>{});
  }

  static std::vector<FinishedRequest> RunToEnd(Runner& runner) {
    std::vector<FinishedRequest> all;
    const StopFlag stop = false;
    while (!runner.idle()) {
      auto finished = runner.Step(stop);
      EXPECT_TRUE(finished.has_value());
      if (!finished.has_value()) break;
      std::ranges::move(*finished, std::back_inserter(all));
    }
    return all;
  }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

InferenceRequest Ask(std::uint64_t index, const std::string& text, std::uint32_t max_tokens,
                     float temperature = 1.0f) {
  return {.index = index,
          .messages = {{"user", text}},
          .max_tokens = max_tokens,
          .sampling = {.temperature = temperature, .seed = 100 + index}};
}

// Prompts of many lengths, some across a page border, short and long answers.
std::vector<InferenceRequest> MixedRequests() {
  std::vector<InferenceRequest> requests;
  for (std::uint64_t i = 0; i < 24; ++i) {
    requests.push_back(
        Ask(i, std::string(1 + i * 17 % 300, static_cast<char>('a' + i)), 1 + i * 13 % 70));
  }
  return requests;
}

TEST_F(RunnerTest, GivesTheSameBitsAloneAndInAnyBatch) {
  Load({});
  const auto requests = MixedRequests();
  const auto alone = GenerateAll({.max_sequence_count = 1, .max_rows_per_step = 512}, requests);
  ASSERT_EQ(alone.size(), requests.size());
  EXPECT_EQ(GenerateAll({.max_sequence_count = 32, .max_rows_per_step = 128}, requests), alone);
  EXPECT_EQ(GenerateAll({.max_sequence_count = 7, .max_rows_per_step = 9}, requests), alone);
  EXPECT_EQ(GenerateAll({.max_sequence_count = 3, .max_rows_per_step = 3}, requests), alone);
}

TEST_F(RunnerTest, GivesTheSameBitsPlainAndVectorisedForEveryWeightType) {
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
    const StopFlag stop = i % 3 != 0;
    auto finished = runner->Step(stop);
    if (!finished.has_value()) {
      ASSERT_TRUE(stop);
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
  const StopFlag stop = false;
  ASSERT_TRUE(runner->Step(stop).has_value());
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
  const StopFlag stop = false;
  ASSERT_TRUE(runner->Step(stop).has_value());
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
}

TEST_F(RunnerTest, RunsFewerSequencesWhenMemoryIsShort) {
  Load({});
  RunnerOptions tight{.max_sequence_count = 32, .max_rows_per_step = 16};
  tight.memory_bytes = PlanWithPages(*model, tight, 3).workspace_bytes;
  const auto requests = MixedRequests();
  EXPECT_EQ(GenerateAll(tight, requests), GenerateAll({}, requests));
  tight.memory_bytes = PlanWithPages(*model, tight, 1).workspace_bytes - 1;
  const auto none = Runner::Create(*model, tight);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(none.error().message, HasSubstr(std::to_string(tight.memory_bytes + 1)));
}

// Answers that grow across pages until none are left: the youngest give way and are computed again.
TEST_F(RunnerTest, GivesTheSameBitsWhenPagesRunOut) {
  Load({});
  std::vector<InferenceRequest> requests;
  for (std::uint64_t i = 0; i < 6; ++i)
    requests.push_back(Ask(i, std::string(150 + 20 * i, static_cast<char>('a' + i)), 300));
  RunnerOptions tight{.max_sequence_count = 4, .max_rows_per_step = 64};
  const auto plenty = GenerateAll(tight, requests);
  std::size_t grown = 0;
  for (const AttemptResult& result : plenty)
    grown += result.prompt_token_count + result.token_ids.size() > kPagePositions ? 1 : 0;
  ASSERT_GE(grown, 3u) << "the seeds no longer give answers that cross a page";
  for (const std::uint32_t pages : {3u, 4u, 5u}) {
    tight.memory_bytes = PlanWithPages(*model, tight, pages).workspace_bytes;
    EXPECT_EQ(NewRunner(tight)->plan().workspace.page_count, pages);
    EXPECT_EQ(GenerateAll(tight, requests), plenty) << pages << " pages";
  }
}

// A device that has less than it was thought to have: caches shrink until they fit.
TEST_F(RunnerTest, TriesFewerPagesWhereTheDeviceGivesLess) {
  const TinyModel tiny;
  Load(tiny);
  RunnerOptions options{.max_sequence_count = 8, .max_rows_per_step = 16};
  const auto plenty = GenerateAll(options, MixedRequests());
  options.memory_bytes = 1 << 30;
  ASSERT_EQ(NewRunner(options)->plan().workspace.page_count, 24u);
  const std::uint64_t room_for_7 =
      model->WeightBytes() + PlanWithPages(*model, options, 7).workspace_bytes;
  Load(tiny, {.memory_bytes = room_for_7});
  EXPECT_EQ(NewRunner(options)->plan().workspace.page_count, 6u);
  EXPECT_EQ(backend->used_bytes(), model->WeightBytes()) << "what was tried has been given back";
  EXPECT_EQ(GenerateAll(options, MixedRequests()), plenty);
}

// A model whose backend finds no room for steps of more than some rows.
class CrampedModel final : public Model {
 public:
  CrampedModel(Model& model, std::uint32_t max_rows) : model_(model), max_rows_(max_rows) {}

  Backend& backend() override { return model_.backend(); }
  const ModelCard& card() const override { return model_.card(); }
  const Tokenizer& tokenizer() const override { return model_.tokenizer(); }
  const ChatFormat& chat_format() const override { return model_.chat_format(); }
  bool looks_ahead() const override { return false; }
  std::uint32_t RotaryOffset(std::uint32_t tokens) const override {
    return model_.RotaryOffset(tokens);
  }
  std::uint64_t WeightBytes() const override { return model_.WeightBytes(); }
  std::uint64_t WorkspaceBytes(const WorkspaceSize& size) const override {
    return model_.WorkspaceBytes(size);
  }
  Result<std::unique_ptr<Workspace>> NewWorkspace(const WorkspaceSize& size) override {
    return model_.NewWorkspace(size);
  }
  Status Forward(Workspace& workspace, const StepRows& rows,
                 std::span<const std::uint32_t> output_rows, StepOutput output,
                 const StopFlag& stop) override {
    if (rows.count() > max_rows_) return Fail(ErrorCode::kResourceExhausted, "no room");
    return model_.Forward(workspace, rows, output_rows, output, stop);
  }

 private:
  Model& model_;
  std::uint32_t max_rows_;
};

TEST_F(RunnerTest, MakesShorterStepsWhereTheDeviceFindsNoRoomForOne) {
  Load({});
  const auto plenty = GenerateAll({}, MixedRequests());
  CrampedModel cramped(*model, 5);
  EXPECT_EQ(Generate(cramped, {}, MixedRequests()).value(), plenty);
  CrampedModel hopeless(*model, 0);
  const auto none = Generate(hopeless, {}, MixedRequests());
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kResourceExhausted);
}

// What an answer may grow to does not count, since most end long before: what it has come to does.
TEST_F(RunnerTest, LeavesToOthersWhatItsCachesCannotHold) {
  Load({});
  RunnerOptions tight{.max_sequence_count = 4, .max_rows_per_step = 64};
  std::vector<InferenceRequest> requests = {Ask(0, "x", 20), Ask(1, std::string(300, 'x'), 1)};
  for (std::uint64_t i = 2; i < 10; ++i)
    requests.push_back(Ask(i, std::string(20 * i, static_cast<char>('a' + i)), 0));
  const auto plenty = GenerateAll(tight, requests);
  tight.memory_bytes = PlanWithPages(*model, tight, 1).workspace_bytes;
  const auto results = GenerateAll(tight, requests);
  ASSERT_EQ(results.size(), requests.size());
  std::size_t outgrown = 0, held = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    // The last token is never put in the caches.
    if (plenty[i].prompt_token_count + plenty[i].token_ids.size() - 1 <= kPagePositions) {
      EXPECT_EQ(results[i], plenty[i]);
      ++held;
      continue;
    }
    ASSERT_TRUE(results[i].error.has_value()) << i;
    EXPECT_EQ(results[i].error->code, ErrorCode::kResourceExhausted);
    EXPECT_THAT(results[i].error->message, HasSubstr("this device's caches hold 256"));
    ++outgrown;
  }
  EXPECT_GE(held, 2u) << "the seeds no longer give a free answer that ends on the first page";
  EXPECT_GE(outgrown, 2u) << "the seeds no longer give answers that cross a page";
}

TEST_F(RunnerTest, TakesHalfOfTheMemoryThatTheWeightsLeave) {
  const TinyModel tiny;
  Load(tiny);
  const RunnerOptions options{.max_rows_per_step = 16};
  const std::uint64_t needed =
      model->WeightBytes() + 2 * PlanWithPages(*model, options, 5).workspace_bytes;
  Load(tiny, {.memory_bytes = needed});
  EXPECT_EQ(NewRunner(options)->plan().workspace.page_count, 5u);
  Load(tiny, {.memory_bytes = needed - 2});
  EXPECT_EQ(NewRunner(options)->plan().workspace.page_count, 4u);
}

TEST_F(RunnerTest, TakesTheMemoryThatWasPlanned) {
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0}) {
    Load({.type = type});
    const RunnerOptions options{.max_sequence_count = 32, .max_rows_per_step = 64};
    const auto planned = PlanMemory(*model, options);
    ASSERT_TRUE(planned.has_value());
    const auto runner = NewRunner(options);
    for (const InferenceRequest& request : MixedRequests()) runner->Add(1, request);
    RunToEnd(*runner);
    EXPECT_EQ(backend->used_bytes(), planned->bytes()) << WeightTypeName(type);
  }
}

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
  const StopFlag stop = false;
  const auto finished = runner->Step(stop);
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
