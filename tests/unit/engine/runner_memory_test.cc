// The runner's memory: what is planned is taken, and where there is less it does with less, to the
// same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/runner/memory_plan.h"
#include "tests/unit/engine/runner_fixture.h"

namespace fallow::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

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
  std::unique_ptr<Workspace> NewWorkspace(const WorkspaceSize& size) override {
    return model_.NewWorkspace(size);
  }
  Status Allocate(Workspace& workspace, const StepControl& control) override {
    return model_.Allocate(workspace, control);
  }
  Status Forward(Workspace& workspace, const StepRows& rows,
                 std::span<const std::uint32_t> output_rows, StepOutput output,
                 const StepControl& control) override {
    steps.emplace_back(rows.count(), rows.positions[0]);
    if (rows.count() > max_rows_) return Fail(ErrorCode::kResourceExhausted, "no room");
    return model_.Forward(workspace, rows, output_rows, output, control);
  }

  // How many rows each had, and the first one's position.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> steps;

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

// A driver compiles a kernel at its first use and cannot be stopped: an owner who comes back in the
// first step after a load would wait for all of them.
TEST_F(RunnerTest, UsesEveryKindOfKernelBeforeTheFirstRequest) {
  Load({});
  CrampedModel watched(*model, 1000);
  ASSERT_TRUE(Runner::Create(watched, {}).has_value());
  EXPECT_THAT(watched.steps, ElementsAre(Pair(1, 0), Pair(8, 0), Pair(8, kPagePositions)));
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

}  // namespace
}  // namespace fallow::engine
