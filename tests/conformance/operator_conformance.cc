// Norms, rotation and elementwise operators, one by one: the bits of the plain CPU backend at
// shapes of 1, odd, just past a tile, and large.
#include <atomic>
#include <cmath>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

TEST_P(BackendConformance, RmsNorm) {
  for (const std::uint32_t columns : {1u, 31u, 32u, 33u, 255u, 256u, 257u, 288u, 2048u, 5000u})
    for (const std::uint32_t rows : {1u, 5u})
      for (const float spread : {1e-12f, 1.0f, 1e9f}) {
        SCOPED_TRACE(Trace("columns, rows", {columns, rows}));
        ExpectSameBits([&](Workbench& bench) {
          const auto x =
              bench.NewTensor(rows, columns, TryingValues(rows * columns, columns, spread));
          const auto weight = bench.NewTensor(1, columns, TryingValues(columns, 3));
          const auto out = bench.NewTensor(rows, columns);
          bench.BeginRows(rows);
          bench.backend().RmsNorm(*x, *weight, 1e-5f, *out, rows);
          bench.Finish();
          bench.Take(*out, rows);
        });
      }
}

TEST_P(BackendConformance, RmsNormOfTheWidestRow) {
  constexpr std::uint32_t kWidest = 1u << 19;
  ExpectSameBits([&](Workbench& bench) {
    const auto x = bench.NewTensor(1, kWidest, TryingValues(kWidest, 1));
    const auto weight = bench.NewTensor(1, kWidest, TryingValues(kWidest, 2));
    const auto out = bench.NewTensor(1, kWidest);
    bench.BeginRows(1);
    bench.backend().RmsNorm(*x, *weight, 1e-5f, *out, 1);
    bench.Finish();
    bench.Take(*out, 1);
  });
}

// The heads of a row, each by itself, beside and in place of what they were.
TEST_P(BackendConformance, RmsNormOfGroups) {
  for (const auto& [group, count] :
       {std::pair{4u, 3u}, {32u, 8u}, {48u, 2u}, {64u, 5u}, {128u, 3u}, {257u, 2u}, {256u, 16u}}) {
    SCOPED_TRACE(Trace("group, count", {group, count}));
    ExpectSameBits([&, group = group, columns = group * count](Workbench& bench) {
      const auto x = bench.NewTensor(5, columns, TryingValues(5 * columns, columns));
      const auto weight = bench.NewTensor(1, group, TryingValues(group, 3));
      const auto out = bench.NewTensor(5, columns);
      bench.BeginRows(5);
      bench.backend().RmsNorm(*x, *weight, 1e-6f, *out, 5);
      bench.backend().RmsNorm(*x, *weight, 1e-6f, *x, 3);  // fewer rows than there are
      bench.Finish();
      bench.Take(*out, 5);
      bench.Take(*x, 5);
    });
  }
}

// More heads in all than a grid has workgroups along an axis.
TEST_P(BackendConformance, RmsNormOfMoreGroupsThanAnAxisHolds) {
  constexpr std::uint32_t kRows = 1100;
  for (const auto& [group, count] : {std::pair{32u, 64u}, {4u, 64u}}) {
    SCOPED_TRACE(Trace("group, count", {group, count}));
    ExpectSameBits([&, group = group, columns = group * count](Workbench& bench) {
      const auto x = bench.NewTensor(kRows, columns, TryingValues(kRows * columns, columns));
      const auto weight = bench.NewTensor(1, group, TryingValues(group, 3));
      bench.BeginRows(kRows);
      bench.backend().RmsNorm(*x, *weight, 1e-6f, *x, kRows);
      bench.Finish();
      bench.Take(*x, kRows);
    });
  }
}

TEST_P(BackendConformance, LayerNorm) {
  for (const std::uint32_t columns : {1u, 31u, 32u, 33u, 255u, 256u, 257u, 384u, 1024u, 5000u})
    for (const std::uint32_t rows : {1u, 5u})
      for (const float spread : {1e-12f, 1.0f, 1e9f}) {
        SCOPED_TRACE(Trace("columns, rows", {columns, rows}));
        ExpectSameBits([&](Workbench& bench) {
          std::vector<float> values = TryingValues(rows * columns, columns, spread);
          // The first row's mean is far from 0, compared with how its values vary.
          for (std::uint32_t i = 0; i < columns; ++i) values[i] += 1000.0f * spread;
          const auto x = bench.NewTensor(rows, columns, values);
          const auto weight = bench.NewTensor(1, columns, TryingValues(columns, 3));
          const auto bias = bench.NewTensor(1, columns, TryingValues(columns, 4));
          const auto out = bench.NewTensor(rows, columns);
          bench.BeginRows(rows);
          bench.backend().LayerNorm(*x, *weight, *bias, 1e-12f, *out, rows);
          bench.Finish();
          bench.Take(*out, rows);
        });
      }
}

TEST_P(BackendConformance, LayerNormOfTheWidestRow) {
  constexpr std::uint32_t kWidest = 1u << 19;
  ExpectSameBits([&](Workbench& bench) {
    const auto x = bench.NewTensor(1, kWidest, TryingValues(kWidest, 1));
    const auto weight = bench.NewTensor(1, kWidest, TryingValues(kWidest, 2));
    const auto bias = bench.NewTensor(1, kWidest, TryingValues(kWidest, 3));
    const auto out = bench.NewTensor(1, kWidest);
    bench.BeginRows(1);
    bench.backend().LayerNorm(*x, *weight, *bias, 1e-5f, *out, 1);
    bench.Finish();
    bench.Take(*out, 1);
  });
}

// An addition before a norm may be computed with it: the sum must be there too.
TEST_P(BackendConformance, AddThenRmsNorm) {
  for (const std::uint32_t columns : {33u, 256u, 288u}) {
    SCOPED_TRACE(Trace("columns", {columns}));
    ExpectSameBits([&](Workbench& bench) {
      const auto x = bench.NewTensor(6, columns, TryingValues(6 * columns, 1));
      const auto y = bench.NewTensor(6, columns, TryingValues(6 * columns, 2));
      const auto weight = bench.NewTensor(1, columns, TryingValues(columns, 3));
      const auto out = bench.NewTensor(6, columns);
      bench.BeginRows(6);
      bench.backend().Add(*x, *y);
      bench.backend().RmsNorm(*x, *weight, 1e-5f, *out, 6);
      bench.Finish();
      bench.Take(*x, 6);
      bench.Take(*out, 6);
      bench.BeginRows(6);
      bench.backend().Add(*x, *y);
      bench.backend().RmsNorm(*x, *weight, 1e-5f, *out, 2);  // fewer rows than were added
      bench.Finish();
      bench.Take(*x, 6);
      bench.Take(*out, 2);
    });
  }
}

TEST_P(BackendConformance, AddAndSiluMul) {
  for (const std::uint32_t columns : {1u, 31u, 256u, 300u, 5000u})
    for (const std::uint32_t rows : {1u, 7u})
      for (const float spread : {1e-18f, 8.0f, 1e6f}) {
        SCOPED_TRACE(Trace("columns, rows", {columns, rows}));
        ExpectSameBits([&](Workbench& bench) {
          const auto x =
              bench.NewTensor(rows, columns, TryingValues(rows * columns, columns, spread));
          const auto y =
              bench.NewTensor(rows, columns, TryingValues(rows * columns, columns + 1, spread));
          bench.BeginRows(rows);
          bench.backend().Add(*x, *y);
          bench.Finish();
          bench.Take(*x, rows);
          bench.BeginRows(rows);
          bench.backend().SiluMul(*x, *y);
          bench.Finish();
          bench.Take(*x, rows);
        });
      }
}

// Applies `change` to a tensor of `rows` rows and takes what became of it.
using Change = std::function<void(Backend&, Tensor& x, const Tensor& y, const Tensor& row)>;
void ChangeOnce(Workbench& bench, std::uint32_t rows, std::uint32_t columns, float spread,
                const Change& change) {
  const std::uint32_t count = rows * columns;
  const auto x = bench.NewTensor(rows, columns, TryingValues(count, columns, spread));
  const auto y = bench.NewTensor(rows, columns, TryingValues(count, columns + 1, spread));
  const auto row = bench.NewTensor(1, columns, TryingValues(columns, columns + 2, spread));
  bench.BeginRows(rows);
  change(bench.backend(), *x, *y, *row);
  bench.Finish();
  bench.Take(*x, rows);
}

TEST_P(BackendConformance, ElementwiseOperators) {
  const std::pair<std::string_view, Change> changes[] = {
      {"AddRow", [](Backend& b, Tensor& x, const Tensor&, const Tensor& row) { b.AddRow(x, row); }},
      {"Scale",
       [](Backend& b, Tensor& x, const Tensor&, const Tensor&) { b.Scale(x, 22.627417f); }},
      {"Scale down",
       [](Backend& b, Tensor& x, const Tensor&, const Tensor&) { b.Scale(x, -1e-9f); }},
      {"GeluMul", [](Backend& b, Tensor& x, const Tensor& y, const Tensor&) { b.GeluMul(x, y); }},
      {"GeluErf", [](Backend& b, Tensor& x, const Tensor&, const Tensor&) { b.GeluErf(x); }},
      {"Softcap",
       [](Backend& b, Tensor& x, const Tensor&, const Tensor&) { b.Softcap(x, 30.0f, x.rows()); }},
      {"Softcap of fewer rows", [](Backend& b, Tensor& x, const Tensor&,
                                   const Tensor&) { b.Softcap(x, 0.3f, (x.rows() + 1) / 2); }},
  };
  for (const auto& [name, change] : changes)
    for (const std::uint32_t columns : {1u, 31u, 256u, 300u, 5000u})
      for (const std::uint32_t rows : {1u, 7u})
        for (const float spread : {1e-18f, 8.0f, 1e6f}) {
          SCOPED_TRACE(Trace(name, {columns, rows}));
          ExpectSameBits([&, &change = change](Workbench& bench) {
            ChangeOnce(bench, rows, columns, spread, change);
          });
        }
}

// What is not finite stays so: a request finds it at the end.
TEST_P(BackendConformance, OperatorsOnValuesThatAreNotFinite) {
  constexpr std::uint32_t kRows = 4, kColumns = 300;
  ExpectSameBits([&](Workbench& bench) {
    std::vector<float> values = TryingValues(kRows * kColumns, 6);
    values[0 * kColumns + 299] = INFINITY;
    values[1 * kColumns + 3] = NAN;
    values[2 * kColumns + 77] = -INFINITY;
    const auto y = bench.NewTensor(kRows, kColumns, TryingValues(kRows * kColumns, 5));
    const auto row = bench.NewTensor(1, kColumns, TryingValues(kColumns, 4));
    Backend& backend = bench.backend();
    const std::vector<std::function<void(Tensor&)>> changes = {
        [&](Tensor& x) { backend.Add(x, *y); },
        [&](Tensor& x) { backend.AddRow(x, *row); },
        [&](Tensor& x) { backend.Scale(x, 0.5f); },
        [&](Tensor& x) { backend.SiluMul(x, *y); },
        [&](Tensor& x) { backend.GeluMul(x, *y); },
        [&](Tensor& x) { backend.GeluErf(x); },
        [&](Tensor& x) { backend.Softcap(x, 30.0f, kRows); },
        [&](Tensor& x) { backend.RmsNorm(x, *row, 1e-5f, x, kRows); },
    };
    for (const auto& change : changes) {
      const auto x = bench.NewTensor(kRows, kColumns, values);
      bench.BeginRows(kRows);
      change(*x);
      bench.Finish();
      bench.Take(*x, kRows);
    }
    const auto x = bench.NewTensor(kRows, kColumns, values);
    const auto out = bench.NewTensor(kRows, kColumns);
    bench.BeginRows(kRows);
    backend.LayerNorm(*x, *row, *row, 1e-5f, *out, kRows);
    bench.Finish();
    bench.Take(*out, kRows);
  });
}

struct RopeCase {
  RotaryShape shape;
  std::uint32_t heads = 1;
  std::vector<std::uint32_t> places = {};  // empty: the rows' positions
};

void RotateThrice(Workbench& bench, const RopeCase& c) {
  const auto [head_size, rotary_size, pairs] = c.shape;
  const std::uint32_t columns = c.heads * head_size;
  const auto x = bench.NewTensor(4, columns, TryingValues(4 * columns, columns));
  const auto y = bench.NewTensor(4, 2 * head_size, TryingValues(4 * 2 * head_size, 5));
  const auto table = bench.NewTensor(300, rotary_size, TryingValues(300 * rotary_size, 9));
  const auto cache = bench.NewKvCache({.page_count = 2, .kv_head_count = 1, .head_size = 32});
  const std::vector<std::uint32_t> zeros(4);
  const std::vector<std::uint32_t> positions{0, 1, 299, 17};
  const std::vector<std::uint32_t> pages{0, 1, 0, 1, 0, 1, 0, 1};
  bench.Begin({.tokens = zeros,
               .positions = positions,
               .pages = pages,
               .pages_per_row = 2,
               .rotary_places = c.places});
  bench.backend().Rope(*x, *table, c.shape);
  bench.backend().Rope(*y, *table, c.shape);  // may be computed with the one before
  bench.backend().Rope(*x, *table, c.shape);
  bench.Finish();
  bench.Take(*x, 4);
  bench.Take(*y, 4);
}

TEST_P(BackendConformance, Rope) {
  for (const RotaryPairs pairs : {RotaryPairs::kNeighbours, RotaryPairs::kHalves})
    for (const std::uint32_t head_size : {2u, 6u, 32u, 48u, 64u, 80u, 128u, 256u})
      for (const std::uint32_t heads : {1u, 3u, 8u}) {
        SCOPED_TRACE(Trace("head size, heads", {head_size, heads}));
        ExpectSameBits([&](Workbench& b) {
          RotateThrice(b, {{head_size, head_size, pairs}, heads});
        });
      }
}

TEST_P(BackendConformance, RopeOfPartOfAHead) {
  for (const RotaryPairs pairs : {RotaryPairs::kNeighbours, RotaryPairs::kHalves})
    for (const auto& [head_size, rotary_size] :
         {std::pair{96u, 72u}, {80u, 32u}, {64u, 2u}, {128u, 96u}, {33u, 20u}}) {
      SCOPED_TRACE(Trace("head size, rotary size", {head_size, rotary_size}));
      ExpectSameBits([&, h = head_size, r = rotary_size](Workbench& b) {
        RotateThrice(b, {{h, r, pairs}, 3});
      });
    }
}

TEST_P(BackendConformance, RopeAtPlacesOfTheirOwn) {
  for (const RotaryPairs pairs : {RotaryPairs::kNeighbours, RotaryPairs::kHalves})
    ExpectSameBits([&](Workbench& b) { RotateThrice(b, {{64, 64, pairs}, 2, {299, 3, 0, 3}}); });
}

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

TEST_P(BackendConformance, RefusesTokensAndPositionsBeyondTheirTables) {
  Workbench bench(*subject_);
  const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
  const auto table = bench.NewMatrix(WeightType::kF32, 4, 32, 1);
  const auto rope = bench.NewTensor(4, 32);
  const auto x = bench.NewTensor(1, 32);
  const std::vector<std::uint32_t> token{4}, position{4}, zero{0};
  const StepControl control;
  bench.Begin({token, zero, zero, 1});
  subject_->Embed(*table, EmbedBy::kToken, *x);
  EXPECT_EQ(subject_->Finish(control).error().code, ErrorCode::kInvalidArgument);
  bench.Begin({zero, position, zero, 1});
  subject_->Rope(*x, *rope, {32, 32});
  EXPECT_EQ(subject_->Finish(control).error().code, ErrorCode::kInvalidArgument);
  bench.Begin({zero, position, zero, 1});
  subject_->Embed(*table, EmbedBy::kPosition, *x);
  EXPECT_EQ(subject_->Finish(control).error().code, ErrorCode::kInvalidArgument);
  bench.Begin({.tokens = zero,
               .positions = zero,
               .pages = zero,
               .pages_per_row = 1,
               .rotary_places = position});
  subject_->Rope(*x, *rope, {32, 32});
  EXPECT_EQ(subject_->Finish(control).error().code, ErrorCode::kInvalidArgument);
  // The next step is not touched by it.
  bench.Begin({zero, zero, zero, 1});
  subject_->Embed(*table, EmbedBy::kToken, *x);
  EXPECT_TRUE(subject_->Finish(control).has_value());
}

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
