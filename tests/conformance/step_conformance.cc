// Steps under a StepControl: a pace changes no bit, and a stop ends a step.
#include <thread>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

// Long enough for many slices and many rests.
TEST_P(BackendConformance, APaceChangesNoBit) {
  constexpr std::uint32_t kOutputs = 2048, kColumns = 512, kRows = 32;
  const auto products = [&](Backend& backend, const StepControl& control) {
    Workbench bench(backend);
    const auto weights = bench.NewMatrix(WeightType::kQ8_0, kOutputs, kColumns, 5);
    const auto back = bench.NewMatrix(WeightType::kQ4_0, kColumns, kOutputs, 7);
    const auto x = bench.NewTensor(kRows, kColumns, TryingValues(kRows * kColumns, 6));
    const auto y = bench.NewTensor(kRows, kOutputs);
    bench.BeginRows(kRows);
    for (int i = 0; i < 4; ++i) {
      backend.MatMul(*weights, *x, *y, kRows);
      backend.MatMul(*back, *y, *x, kRows);
    }
    EXPECT_TRUE(backend.Finish(control).has_value());
    bench.Take(*x, kRows);
    return bench.taken();
  };
  StepControl paced;
  paced.SetShare(0.5);
  EXPECT_EQ(products(*subject_, paced), products(*reference_, StepControl()));
}

// Left alone it would take a quarter of an hour.
TEST_P(BackendConformance, AStopEndsTheRestOfAPacedStep) {
  constexpr std::uint32_t kColumns = 512, kRows = 64;
  Workbench bench(*subject_);
  const auto weights = bench.NewMatrix(WeightType::kQ8_0, kColumns, kColumns, 5);
  const auto x = bench.NewTensor(kRows, kColumns);
  const auto y = bench.NewTensor(kRows, kColumns);
  StepControl control;
  control.SetShare(kMinShare);
  bench.BeginRows(kRows);
  for (int i = 0; i < 20'000; ++i) subject_->MatMul(*weights, *x, *y, kRows);
  std::thread owner([&] { control.Stop(); });
  const Status status = subject_->Finish(control);
  owner.join();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
}

TEST_P(BackendConformance, StopsBeforeAStepWhenTold) {
  Workbench bench(*subject_);
  const auto x = bench.NewTensor(1, 32);
  const auto y = bench.NewTensor(1, 32);
  StepControl control(StepControl::Start::kStopped);
  bench.BeginRows(1);
  subject_->Add(*x, *y);
  const Status status = subject_->Finish(control);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  control.Resume();
  bench.BeginRows(1);
  subject_->Add(*x, *y);
  EXPECT_TRUE(subject_->Finish(control).has_value());
}

}  // namespace
}  // namespace fallow::engine
