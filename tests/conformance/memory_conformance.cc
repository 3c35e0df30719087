// Memory: uploads come back, planners add up to the byte, and a stop ends a load, or giving memory
// back, between two pieces.
#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

TEST_P(BackendConformance, UploadedValuesComeBack) {
  for (const std::uint32_t columns : {1u, 32u, 33u, 1000u})
    ExpectSameBits([&](Workbench& bench) {
      const auto tensor = bench.NewTensor(9, columns, TryingValues(7 * columns, columns));
      bench.Take(*tensor, 9);
    });
}

// What a planner adds up beforehand is what is taken, to the byte, and comes back.
TEST_P(BackendConformance, TakesTheMemoryItSays) {
  const std::uint64_t before = subject_->used_bytes();
  Workbench bench(*subject_);
  for (const std::uint32_t columns : {1u, 32u, 33u, 256u, 1056u})
    for (const Int8Forms forms :
         {Int8Forms{true, true}, {true, false}, {false, true}, {false, false}}) {
      const auto tensor = bench.NewTensor(3, columns, forms, {});
      EXPECT_EQ(subject_->used_bytes() - before, subject_->TensorBytes(3, columns, forms))
          << columns;
    }
  for (const WeightFormat& format : AllWeightFormats())
    for (const std::uint32_t rows : {1u, 16u, 100u}) {
      const std::uint32_t columns = 3 * format.block_values;
      const auto matrix = bench.NewMatrix(format.type, rows, columns, 1);
      EXPECT_EQ(subject_->used_bytes() - before, subject_->MatrixBytes(format.type, rows, columns))
          << format.name << " " << rows;
    }
  for (const KvShape& shape : {KvShape{1, 1, 32}, {3, 2, 48}, {1, 1, 256}}) {
    const auto cache = bench.NewKvCache(shape);
    EXPECT_EQ(subject_->used_bytes() - before, subject_->KvCacheBytes(shape)) << shape.head_size;
  }
  EXPECT_EQ(subject_->used_bytes(), before);
}

// Runs `load` undisturbed and then with a stop at each of its looks; returns how many there were.
// The result is dropped, so that in any case nothing is left.
int StopAtEachLook(Backend& backend, const std::function<Status(const StepControl&)>& load) {
  const std::uint64_t before = backend.used_bytes();
  std::atomic<int> looks = 0;
  const auto run = [&](int last) {
    looks = 0;
    StepControl control;
    control.OnLook([&] {
      if (++looks == last) control.Stop();
    });
    EXPECT_TRUE(backend.GiveBack(StepControl()).has_value());
    return load(control);
  };
  EXPECT_TRUE(run(0).has_value());
  const int count = looks;
  for (int look = 1; look <= count; ++look) {
    const Status status = run(look);
    EXPECT_TRUE(!status.has_value() && status.error().code == ErrorCode::kCancelled) << look;
    EXPECT_EQ(backend.used_bytes(), before) << look;
  }
  return count;
}

// What is long is taken in pieces, and a stop between two of them leaves nothing.
TEST_P(BackendConformance, AStopEndsALoadBetweenTwoPieces) {
  constexpr std::uint32_t kRows = 1024, kColumns = 4096;  // 16 MiB as fp32
  const Bytes data(std::size_t{kRows} * kColumns * sizeof(float));
  const int matrix_looks = StopAtEachLook(*subject_, [&](const StepControl& control) -> Status {
    FALLOW_ASSIGN_OR_RETURN(const auto made,
                            subject_->NewMatrix(WeightType::kF32, kRows, kColumns, data, control));
    return {};
  });
  EXPECT_GE(matrix_looks, 8);

  const auto tensor = Workbench(*subject_).NewTensor(kRows, kColumns);
  const std::vector<float> values(std::size_t{kRows} * kColumns);
  const int upload_looks = StopAtEachLook(*subject_, [&](const StepControl& control) {
    return subject_->Upload(*tensor, values, control);
  });
  EXPECT_GE(upload_looks, 8);

  // Whoever clears nothing has nothing to look at.
  StopAtEachLook(*subject_, [&](const StepControl& control) -> Status {
    FALLOW_ASSIGN_OR_RETURN(const auto made, subject_->NewTensor(kRows, kColumns, {}, control));
    return {};
  });
  StopAtEachLook(*subject_, [&](const StepControl& control) -> Status {
    FALLOW_ASSIGN_OR_RETURN(const auto made, subject_->NewKvCache({8, 8, 128}, control));
    return {};
  });
}

Status MakeTensor(Backend& backend, const StepControl& control) {
  FALLOW_ASSIGN_OR_RETURN(const auto made, backend.NewTensor(1, 32, {}, control));
  return {};
}

// What is destroyed goes back to the system in pieces, before anything else is made.
TEST_P(BackendConformance, AStopEndsGivingMemoryBackBetweenTwoPieces) {
  constexpr std::uint32_t kRows = 1024, kColumns = 4096;
  constexpr int kMatrices = 5;
  const Bytes data(std::size_t{kRows} * kColumns * sizeof(float));
  const auto discard = [&] {
    std::vector<std::unique_ptr<Matrix>> matrices;
    for (int i = 0; i < kMatrices; ++i)
      matrices.push_back(*subject_->NewMatrix(WeightType::kF32, kRows, kColumns, data));
  };
  for (const bool by_making : {false, true}) {
    discard();
    EXPECT_EQ(subject_->used_bytes(), 0u);
    std::uint64_t left = subject_->discarded_bytes();
    EXPECT_GE(left, kMatrices * data.size());
    int stopped_count = 0;
    for (;;) {
      bool looked = false;
      StepControl control;
      control.OnLook([&] {
        if (std::exchange(looked, true)) control.Stop();
      });
      const Status status =
          by_making ? MakeTensor(*subject_, control) : subject_->GiveBack(control);
      // What remains is of the tensor, which was stopped too.
      if (subject_->discarded_bytes() < data.size()) break;
      ASSERT_FALSE(status.has_value());
      EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
      ASSERT_LT(subject_->discarded_bytes(), left);
      left = subject_->discarded_bytes();
      ++stopped_count;
    }
    EXPECT_GE(stopped_count, 2);
    EXPECT_TRUE(subject_->GiveBack(StepControl()).has_value());
    EXPECT_EQ(subject_->discarded_bytes(), 0u);
  }
}

}  // namespace
}  // namespace fallow::engine
