// Products and embeddings of every weight type: the bits of the plain CPU backend at shapes of 1,
// odd, just past a tile, and large.
#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "tests/conformance/backend_conformance.h"
#include "tests/support/trying_weights.h"

namespace fallow::engine {
namespace {

// Computes a product and takes its result.
void MultiplyOnce(Workbench& bench, WeightType type, std::uint32_t outputs, std::uint32_t columns,
                  std::uint32_t rows) {
  const auto weights = bench.NewMatrix(type, outputs, columns, outputs + columns);
  const auto x =
      bench.NewTensor(rows, columns, TryingValues(std::size_t{rows} * columns, rows + columns));
  const auto y = bench.NewTensor(rows, outputs);
  bench.BeginRows(rows);
  bench.backend().MatMul(*weights, *x, *y, rows);
  bench.Finish();
  bench.Take(*y, rows);
}

TEST_P(BackendConformance, MatMulOfQ8Weights) {
  for (const std::uint32_t columns : {32u, 96u, 256u, 288u, 2048u})
    for (const std::uint32_t outputs : {1u, 7u, 32u, 33u, 100u})
      for (const std::uint32_t rows : {1u, 2u, 3u, 8u, 9u, 33u}) {
        SCOPED_TRACE(Trace("outputs, columns, rows", {outputs, columns, rows}));
        ExpectSameBits(
            [&](Workbench& b) { MultiplyOnce(b, WeightType::kQ8_0, outputs, columns, rows); });
      }
}

TEST_P(BackendConformance, MatMulOfIntegerWeights) {
  for (const WeightFormat& format : AllWeightFormats()) {
    if (!format.is_integer() || format.type == WeightType::kQ8_0) continue;
    for (const std::uint32_t blocks : {1u, 3u, 9u})
      for (const std::uint32_t outputs : {1u, 33u, 100u})
        for (const std::uint32_t rows : {1u, 3u, 9u, 33u}) {
          const std::uint32_t columns = blocks * format.block_values;
          SCOPED_TRACE(Trace(format.name, {outputs, columns, rows}));
          ExpectSameBits(
              [&](Workbench& b) { MultiplyOnce(b, format.type, outputs, columns, rows); });
        }
  }
}

TEST_P(BackendConformance, MatMulOfFloatWeights) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16})
    for (const std::uint32_t columns : {1u, 7u, 31u, 32u, 33u, 96u, 256u, 257u, 288u, 2048u})
      for (const std::uint32_t outputs : {1u, 7u, 33u, 100u})
        for (const std::uint32_t rows : {1u, 2u, 3u, 9u, 17u}) {
          SCOPED_TRACE(Trace(WeightTypeName(type), {outputs, columns, rows}));
          ExpectSameBits([&](Workbench& b) { MultiplyOnce(b, type, outputs, columns, rows); });
        }
}

// The kernels' loops grow with the columns: a driver that ends long loops silently would show here.
TEST_P(BackendConformance, MatMulOfTheWidestRows) {
  constexpr std::uint32_t kWidest = 1u << 19;
  for (const WeightFormat& format : AllWeightFormats())
    for (const std::uint32_t rows : {1u, 8u}) {
      SCOPED_TRACE(Trace(format.name, {kWidest, rows}));
      ExpectSameBits([&](Workbench& b) { MultiplyOnce(b, format.type, 3, kWidest, rows); });
    }
}

TEST_P(BackendConformance, MatMulOfManyOutputsAndRows) {
  for (const auto& [type, outputs, columns, rows] :
       {std::tuple{WeightType::kQ8_0, 5000u, 64u, 130u},
        {WeightType::kF16, 3000u, 64u, 40u},
        {WeightType::kQ8_0, 40001u, 32u, 1u},
        {WeightType::kQ4_0, 3000u, 64u, 130u},
        {WeightType::kQ4_K, 3000u, 256u, 70u},
        {WeightType::kQ6_K, 20001u, 256u, 1u}}) {
    SCOPED_TRACE(Trace(WeightTypeName(type), {outputs, columns, rows}));
    ExpectSameBits([&, t = type, o = outputs, c = columns, r = rows](Workbench& b) {
      MultiplyOnce(b, t, o, c, r);
    });
  }
}

// Three at once are the most workgroups a product asks for.
TEST_P(BackendConformance, MatMulOfTheMostOutputs) {
  constexpr std::uint32_t kMost = 1u << 19;
  ExpectSameBits([&](Workbench& bench) {
    const auto weights = bench.NewMatrix(WeightType::kQ8_0, kMost, 32, 1);
    const auto x = bench.NewTensor(1, 32, TryingValues(32, 2));
    std::vector<std::unique_ptr<Tensor>> results;
    for (int i = 0; i < 3; ++i) results.push_back(bench.NewTensor(1, kMost));
    bench.BeginRows(1);
    for (const auto& y : results) bench.backend().MatMul(*weights, *x, *y, 1);
    bench.Finish();
    for (const auto& y : results) bench.Take(*y, 1);
  });
}

// Products that share an input may be computed together; a row's bits may not depend on how many
// rows there are, nor on which form of the input was made first.
TEST_P(BackendConformance, ProductsThatShareAnInput) {
  using enum WeightType;
  for (const std::uint32_t rows : {1u, 3u, 20u}) {
    SCOPED_TRACE(Trace("rows", {rows}));
    ExpectSameBits([&](Workbench& bench) {
      constexpr std::uint32_t kColumns = 512;
      const auto x = bench.NewTensor(rows, kColumns, TryingValues(rows * kColumns, rows));
      const auto other = bench.NewTensor(rows, kColumns, TryingValues(rows * kColumns, rows + 1));
      std::vector<std::unique_ptr<Matrix>> weights;
      std::vector<std::unique_ptr<Tensor>> results;
      for (const auto& [type, outputs] : {std::pair{kQ8_0, 40u},
                                          {kQ8_0, 7u},
                                          {kQ8_0, 65u},
                                          {kQ4_K, 33u},
                                          {kQ6_K, 33u},
                                          {kF16, 5u},
                                          {kQ5_1, 32u},
                                          {kQ8_0, 32u},
                                          {kQ5_K, 70u}}) {
        weights.push_back(bench.NewMatrix(type, outputs, kColumns, outputs));
        results.push_back(bench.NewTensor(rows, outputs));
      }
      bench.BeginRows(rows);
      for (std::size_t i = 0; i < weights.size(); ++i)
        bench.backend().MatMul(*weights[i], i == 7 ? *other : *x, *results[i], rows);
      bench.Finish();
      for (const auto& result : results) bench.Take(*result, rows);
    });
  }
}

// A tensor has room for the int8 forms that it was made with.
TEST_P(BackendConformance, ProductsOfInputsWithOneInt8Form) {
  constexpr std::uint32_t kRows = 3, kColumns = 512;
  constexpr Int8Forms kNone{.per_32 = false, .per_256 = false};
  for (const WeightFormat& format : AllWeightFormats()) {
    SCOPED_TRACE(format.name);
    ExpectSameBits([&](Workbench& bench) {
      Int8Forms forms = kNone;
      forms.per_32 = format.activations() == ActivationForm::kInt8Per32;
      forms.per_256 = format.activations() == ActivationForm::kInt8Per256;
      const auto x =
          bench.NewTensor(kRows, kColumns, forms, TryingValues(kRows * kColumns, kColumns));
      const auto y = bench.NewTensor(kRows, 40, kNone, {});
      const auto weights = bench.NewMatrix(format.type, 40, kColumns, 1);
      bench.BeginRows(kRows);
      bench.backend().MatMul(*weights, *x, *y, kRows);
      bench.Finish();
      bench.Take(*y, kRows);
    });
  }
}

// An int8 form made in one step must not serve the next, when the values have changed.
TEST_P(BackendConformance, ProductsAfterTheirInputChanged) {
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_K}) {
    SCOPED_TRACE(WeightTypeName(type));
    ExpectSameBits([&](Workbench& bench) {
      constexpr std::uint32_t kColumns = 256;
      constexpr std::uint32_t kCount = 4 * kColumns;
      const auto weights = bench.NewMatrix(type, 40, kColumns, 5);
      const auto y = bench.NewTensor(4, 40);
      const auto x = bench.NewTensor(4, kColumns, TryingValues(kCount, 1));
      const auto up = bench.NewTensor(4, kColumns, TryingValues(kCount, 2));
      const auto row = bench.NewTensor(1, kColumns, TryingValues(kColumns, 3));
      Backend& backend = bench.backend();
      const std::vector<std::function<void()>> changes = {
          [&] { backend.SiluMul(*x, *up); },
          [&] { backend.GeluMul(*x, *up); },
          [&] { backend.RmsNorm(*up, *row, 1e-5f, *x, 4); },
          [&] { backend.RmsNorm(*x, *row, 1e-5f, *x, 4); },
          [&] { backend.Add(*x, *up); },
          [&] { backend.AddRow(*x, *row); },
          [&] { backend.Scale(*x, 1.25f); },
          [&] { backend.GeluErf(*x); },
          [&] { backend.Softcap(*x, 2.0f, 4); },
          [&] { backend.LayerNorm(*up, *row, *row, 1e-5f, *x, 4); },
      };
      for (std::uint32_t step = 0; step < 2; ++step) {
        ASSERT_TRUE(backend.Upload(*x, TryingValues(kCount, 7 + step)).has_value());
        bench.BeginRows(4);
        backend.MatMul(*weights, *x, *y, 2);
        backend.MatMul(*weights, *x, *y, 4);
        bench.Finish();
        bench.Take(*y, 4);
        for (const auto& change : changes) {
          bench.BeginRows(4);
          backend.MatMul(*weights, *x, *y, 4);
          change();
          backend.MatMul(*weights, *x, *y, 4);
          bench.Finish();
          bench.Take(*y, 4);
          bench.Take(*x, 4);
        }
      }
    });
  }
}

// A row that overflowed ends its request; the rows beside it know nothing of it.
TEST_P(BackendConformance, ProductsOfValuesThatAreNotFinite) {
  constexpr std::uint32_t kRows = 4, kColumns = 512;
  for (const WeightFormat& format : AllWeightFormats()) {
    SCOPED_TRACE(format.name);
    ExpectSameBits([&](Workbench& bench) {
      std::vector<float> values = TryingValues(kRows * kColumns, 6);
      values[0 * kColumns + 300] = INFINITY;
      values[1 * kColumns + 3] = NAN;
      values[2 * kColumns + 511] = -1e38f;
      const auto weights = bench.NewMatrix(format.type, 40, kColumns, 1);
      const auto x = bench.NewTensor(kRows, kColumns, values);
      const auto y = bench.NewTensor(kRows, 40);
      bench.BeginRows(kRows);
      bench.backend().MatMul(*weights, *x, *y, kRows);
      bench.Finish();
      bench.Take(*y, kRows);
    });
  }
}

TEST_P(BackendConformance, EmbedAndGatherRows) {
  for (const WeightFormat& format : AllWeightFormats())
    for (const std::uint32_t blocks : {1u, 3u, 9u, 33u}) {
      const std::uint32_t columns = blocks * std::max(format.block_values, 32u);
      SCOPED_TRACE(Trace(format.name, {columns}));
      ExpectSameBits([&](Workbench& bench) {
        const auto table = bench.NewMatrix(format.type, 101, columns, columns);
        const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
        const auto x = bench.NewTensor(5, columns);
        const auto out = bench.NewTensor(3, columns);
        const std::vector<std::uint32_t> tokens{0, 100, 33, 33, 7};
        const std::vector<std::uint32_t> zeros(5);
        bench.Begin({.tokens = tokens, .positions = zeros, .pages = zeros, .pages_per_row = 1});
        bench.backend().Embed(*table, EmbedBy::kToken, *x);
        bench.backend().GatherRows(*x, std::vector<std::uint32_t>{4, 0, 4}, *out);
        bench.Finish();
        bench.Take(*x, 5);
        bench.Take(*out, 3);
      });
    }
}

TEST_P(BackendConformance, EmbedByPosition) {
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8_0, WeightType::kQ4_K}) {
    SCOPED_TRACE(WeightTypeName(type));
    ExpectSameBits([&](Workbench& bench) {
      const auto table = bench.NewMatrix(type, 300, 256, 1);
      const auto cache = bench.NewKvCache({.page_count = 2, .kv_head_count = 1, .head_size = 32});
      const auto x = bench.NewTensor(4, 256);
      const std::vector<std::uint32_t> tokens{5000, 1, 2, 3}, positions{0, 299, 256, 17};
      const std::vector<std::uint32_t> pages{0, 1, 0, 1, 0, 1, 0, 1};
      bench.Begin({.tokens = tokens, .positions = positions, .pages = pages, .pages_per_row = 2});
      bench.backend().Embed(*table, EmbedBy::kPosition, *x);
      bench.Finish();
      bench.Take(*x, 4);
    });
  }
}

// Each of a block's fp16 numbers, in the second row's second block.
TEST_P(BackendConformance, RefusesWeightsThatAreNotFinite) {
  for (const WeightFormat& format : AllWeightFormats())
    for (std::size_t half = 0; half < (format.has_minimum ? 2u : 1u); ++half) {
      SCOPED_TRACE(Trace(format.name, {static_cast<std::uint32_t>(half)}));
      const std::uint32_t columns = 2 * format.block_values;
      Bytes bytes(2 * WeightRowBytes(format.type, columns));
      std::size_t at = bytes.size() - format.block_bytes;
      at += format.is_integer() ? ScaleOffset(format) + 2 * half + 1 : format.block_bytes - 1;
      bytes[at] = format.type == WeightType::kF16 || format.is_integer() ? 0xFC : 0x7F;
      if (format.block_bytes >= 2) bytes[at - 1] = format.is_integer() ? 0 : 0x80;
      const auto matrix = subject_->NewMatrix(format.type, 2, columns, bytes);
      ASSERT_FALSE(matrix.has_value());
      EXPECT_EQ(matrix.error().code, ErrorCode::kInvalidArgument);
      const std::string place = "row 1, column " + std::to_string(format.block_values);
      EXPECT_NE(matrix.error().message.find(place), std::string::npos) << matrix.error().message;
    }
}

}  // namespace
}  // namespace fallow::engine
