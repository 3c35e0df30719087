// Stops while a model is loaded, at every moment at which the engine looks whether it is stopped.
#include <gtest/gtest.h>

#include "engine/model/model_load.h"
#include "engine/runner/memory_plan.h"
#include "tests/unit/engine/runner_fixture.h"

namespace fallow::engine {
namespace {

// Counts the looks of a load and stops it at one of them.
class StopAtLook {
 public:
  explicit StopAtLook(int look) : look_(look) {
    control_.OnLook([this] {
      if (++looks_ == look_) control_.Stop();
    });
  }

  StepControl& control() { return control_; }
  int looks() const { return looks_; }

 private:
  int look_;
  int looks_ = 0;
  StepControl control_;
};

constexpr int kNever = -1;
// Of a tensor of this model: what is left of them is still asked for, one by one.
constexpr int kMostPieces = 8;
// A backend of one thread looks in the same order each time.
constexpr CpuBackendOptions kOneThread{.thread_count = 1};

struct LoadStop : RunnerTest {
  // A model whose tensors take several pieces each, and a table of a context of several.
  Bytes file = TinyModel{.context = 2000, .width = 512, .feed_forward = 1024}.Write();
  RunnerOptions options{.max_sequence_count = 4, .max_rows_per_step = 16};

  std::vector<AttemptResult> Answers(Runner& runner) {
    for (std::uint64_t i = 0; i < 3; ++i) runner.Add(1, Ask(i, "stop me", 5));
    std::vector<AttemptResult> answers(3);
    for (FinishedRequest& one : RunToEnd(runner))
      answers[one.result.request_index] = std::move(one.result);
    return answers;
  }
};

TEST_F(LoadStop, IsAnsweredAtEveryLookAndTheLoadGoesOnWhereItWas) {
  backend = NewCpuBackend(kOneThread);
  StopAtLook undisturbed(kNever);
  model = *ModelLoad(file, *backend).Run(undisturbed.control());
  const std::uint64_t weight_bytes = model->WeightBytes();
  const auto expected = Answers(*NewRunner(options));
  const int looks = undisturbed.looks();
  ASSERT_GT(looks, 40) << "tensors and tables are taken in pieces";
  model.reset();

  int half_loaded_count = 0;
  for (int look = 1; look <= looks; ++look) {
    SCOPED_TRACE(look);
    ModelLoad load(file, *backend);
    StopAtLook stop(look);
    const auto stopped = load.Run(stop.control());
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
    EXPECT_LE(stop.looks(), look + kMostPieces) << "no other tensor is begun";
    const std::uint64_t kept_bytes = backend->used_bytes();
    EXPECT_LE(kept_bytes, weight_bytes);
    if (kept_bytes > 0 && kept_bytes < weight_bytes) ++half_loaded_count;

    StopAtLook rest(kNever);
    auto loaded = load.Run(rest.control());
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    if (kept_bytes > weight_bytes / 2) {
      EXPECT_LT(rest.looks(), looks) << "nothing is loaded twice";
    }
    model = *std::move(loaded);
    EXPECT_EQ(backend->used_bytes(), weight_bytes);
    model.reset();
    EXPECT_EQ(backend->used_bytes(), 0u);
  }
  EXPECT_GT(half_loaded_count, 10);

  // Bits of a load that was stopped half-way.
  ModelLoad load(file, *backend);
  StopAtLook half_way(looks / 2);
  ASSERT_FALSE(load.Run(half_way.control()).has_value());
  model = *load.Run(StepControl());
  EXPECT_EQ(Answers(*NewRunner(options)), expected);
}

TEST_F(LoadStop, ARunnersStartIsAnsweredAtEveryLookToo) {
  backend = NewCpuBackend(kOneThread);
  model = *Model::Load(file, *backend);
  StopAtLook undisturbed(kNever);
  const auto expected = Answers(**RunnerStart(*model, options).Run(undisturbed.control()));
  for (int look = 1; look <= undisturbed.looks(); ++look) {
    SCOPED_TRACE(look);
    RunnerStart start(*model, options);
    StopAtLook stop(look);
    const auto stopped = start.Run(stop.control());
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
    stop.control().Resume();
    const auto runner = start.Run(stop.control());
    ASSERT_TRUE(runner.has_value()) << runner.error().message;
    EXPECT_EQ(Answers(**runner), expected);
  }
}

// Caches that did not fit go in pieces too, before smaller ones are tried.
TEST_F(LoadStop, ARunnersStartIsAnsweredWhileItTriesFewerPages) {
  backend = NewCpuBackend(kOneThread);
  model = *Model::Load(file, *backend);
  options.memory_bytes = 1 << 30;
  const auto few = PlanWithPages(*model, options, 5).workspace_bytes;
  const std::uint64_t memory_bytes = model->WeightBytes() + few;
  model.reset();
  backend = NewCpuBackend({.thread_count = 1, .memory_bytes = memory_bytes});
  model = *Model::Load(file, *backend);
  StopAtLook undisturbed(kNever);
  const auto page_count =
      (*RunnerStart(*model, options).Run(undisturbed.control()))->plan().workspace.page_count;
  ASSERT_LE(page_count, 5u);
  for (int look = 1; look <= undisturbed.looks(); ++look) {
    SCOPED_TRACE(look);
    ASSERT_TRUE(backend->GiveBack(StepControl()).has_value());
    RunnerStart start(*model, options);
    StopAtLook stop(look);
    ASSERT_FALSE(start.Run(stop.control()).has_value());
    stop.control().Resume();
    const auto runner = start.Run(stop.control());
    ASSERT_TRUE(runner.has_value()) << runner.error().message;
    EXPECT_EQ((*runner)->plan().workspace.page_count, page_count);
  }
  EXPECT_EQ(backend->used_bytes(), model->WeightBytes());
}

}  // namespace
}  // namespace fallow::engine
