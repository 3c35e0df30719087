// Operators, one by one: the bits of the plain CPU backend at shapes of 1, odd, just past a tile,
// and large.
#include <cstring>
#include <numeric>
#include <tuple>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

std::string Trace(std::string_view what, std::initializer_list<std::uint32_t> shape) {
  std::string text(what);
  for (const std::uint32_t n : shape) text += " " + std::to_string(n);
  return text;
}

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

TEST_P(BackendConformance, MatMulOfFloatWeights) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16})
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
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kQ8_0})
    for (const std::uint32_t rows : {1u, 8u}) {
      SCOPED_TRACE(Trace(WeightTypeName(type), {kWidest, rows}));
      ExpectSameBits([&](Workbench& b) { MultiplyOnce(b, type, 3, kWidest, rows); });
    }
}

TEST_P(BackendConformance, MatMulOfManyOutputsAndRows) {
  for (const auto& [type, outputs, columns, rows] :
       {std::tuple{WeightType::kQ8_0, 5000u, 64u, 130u},
        {WeightType::kF16, 3000u, 64u, 40u},
        {WeightType::kQ8_0, 40001u, 32u, 1u}}) {
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
// rows there are.
TEST_P(BackendConformance, ProductsThatShareAnInput) {
  for (const std::uint32_t rows : {1u, 3u, 20u}) {
    SCOPED_TRACE(Trace("rows", {rows}));
    ExpectSameBits([&](Workbench& bench) {
      const auto x = bench.NewTensor(rows, 96, TryingValues(rows * 96, rows));
      const auto other = bench.NewTensor(rows, 96, TryingValues(rows * 96, rows + 1));
      std::vector<std::unique_ptr<Matrix>> weights;
      std::vector<std::unique_ptr<Tensor>> results;
      for (const std::uint32_t outputs : {40u, 7u, 65u, 32u, 33u}) {
        weights.push_back(bench.NewMatrix(WeightType::kQ8_0, outputs, 96, outputs));
        results.push_back(bench.NewTensor(rows, outputs));
      }
      bench.BeginRows(rows);
      for (std::size_t i = 0; i < weights.size(); ++i)
        bench.backend().MatMul(*weights[i], i == 3 ? *other : *x, *results[i], rows);
      bench.Finish();
      for (const auto& result : results) bench.Take(*result, rows);
    });
  }
}

// An int8 form made in one step must not serve the next, when the values have changed.
TEST_P(BackendConformance, ProductsAfterTheirInputChanged) {
  ExpectSameBits([&](Workbench& bench) {
    const auto weights = bench.NewMatrix(WeightType::kQ8_0, 40, 64, 5);
    const auto y = bench.NewTensor(4, 40);
    const auto x = bench.NewTensor(4, 64, TryingValues(4 * 64, 1));
    const auto up = bench.NewTensor(4, 64, TryingValues(4 * 64, 2));
    const auto norm = bench.NewTensor(1, 64, TryingValues(64, 3));
    for (int step = 0; step < 3; ++step) {
      ASSERT_TRUE(bench.backend()
                      .Upload(*x, TryingValues(4 * 64, 7 + static_cast<std::uint32_t>(step)))
                      .has_value());
      bench.BeginRows(4);
      bench.backend().MatMul(*weights, *x, *y, 2);
      bench.backend().MatMul(*weights, *x, *y, 4);
      bench.backend().SiluMul(*x, *up);
      bench.backend().MatMul(*weights, *x, *y, 4);
      bench.backend().RmsNorm(*up, *norm, 1e-5f, *x, 4);
      bench.backend().Add(*x, *up);
      bench.backend().MatMul(*weights, *x, *y, 4);
      bench.Finish();
      bench.Take(*y, 4);
      bench.Take(*x, 4);
    }
  });
}

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

TEST_P(BackendConformance, EmbedAndGatherRows) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kQ8_0})
    for (const std::uint32_t columns : {32u, 96u, 288u, 1056u}) {
      SCOPED_TRACE(Trace(WeightTypeName(type), {columns}));
      ExpectSameBits([&](Workbench& bench) {
        const auto table = bench.NewMatrix(type, 101, columns, columns);
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

TEST_P(BackendConformance, Rope) {
  for (const std::uint32_t head_size : {2u, 6u, 32u, 48u, 64u, 80u, 128u})
    for (const std::uint32_t heads : {1u, 3u, 8u}) {
      SCOPED_TRACE(Trace("head size, heads", {head_size, heads}));
      ExpectSameBits([&](Workbench& bench) {
        const std::uint32_t columns = heads * head_size;
        const auto x = bench.NewTensor(4, columns, TryingValues(4 * columns, columns));
        const auto y = bench.NewTensor(4, 2 * head_size, TryingValues(4 * 2 * head_size, 5));
        const auto table = bench.NewTensor(300, head_size, TryingValues(300 * head_size, 9));
        const auto cache = bench.NewKvCache({.page_count = 2, .kv_head_count = 1, .head_size = 32});
        const std::vector<std::uint32_t> zeros(4);
        const std::vector<std::uint32_t> positions{0, 1, 299, 17};
        const std::vector<std::uint32_t> pages{0, 1, 0, 1, 0, 1, 0, 1};
        bench.Begin({.tokens = zeros, .positions = positions, .pages = pages, .pages_per_row = 2});
        bench.backend().Rope(*x, *table, {head_size, head_size});
        bench.backend().Rope(*y, *table, {head_size, head_size});  // may be computed with the one before
        bench.backend().Rope(*x, *table, {head_size, head_size});
        bench.Finish();
        bench.Take(*x, 4);
        bench.Take(*y, 4);
      });
    }
}

struct AttentionCase {
  std::uint32_t head_size;
  std::uint32_t head_count;
  std::uint32_t kv_head_count;
  std::vector<std::uint32_t> lengths;  // positions of each sequence; its last rows ask
  std::uint32_t rows_per_sequence = 1;
  float spread = 1.0f;
  std::vector<std::uint32_t> overflowed = {};  // positions of keys too large for an int8 block
};

// Stores whole sequences, one step for every 64 positions of all of them, then asks from their last
// positions. Pages are dealt out in an order of their own, so that a sequence's pages are neither
// neighbours nor ascending.
void Attend(Workbench& bench, const AttentionCase& c) {
  std::uint32_t longest = 0;
  std::uint32_t page_count = 0;
  for (const std::uint32_t length : c.lengths) {
    longest = std::max(longest, length);
    page_count += (length + kPagePositions - 1) / kPagePositions;
  }
  const std::uint32_t pages_per_row = (longest + kPagePositions - 1) / kPagePositions;
  std::vector<std::vector<std::uint32_t>> pages;
  std::uint32_t next_page = page_count;
  for (const std::uint32_t length : c.lengths) {
    auto& own = pages.emplace_back(pages_per_row, 0u);
    for (std::uint32_t i = 0; i < (length + kPagePositions - 1) / kPagePositions; ++i)
      own[i] = --next_page;
  }
  const KvShape shape{
      .page_count = page_count, .kv_head_count = c.kv_head_count, .head_size = c.head_size};
  const auto cache = bench.NewKvCache(shape);
  const std::uint32_t kv_columns = c.kv_head_count * c.head_size;
  const std::uint32_t q_columns = c.head_count * c.head_size;
  constexpr std::uint32_t kStep = 64;
  const auto keys = bench.NewTensor(kStep, kv_columns);
  const auto values = bench.NewTensor(kStep, kv_columns);

  for (std::size_t s = 0; s < c.lengths.size(); ++s)
    for (std::uint32_t first = 0; first < c.lengths[s]; first += kStep) {
      const std::uint32_t count = std::min(kStep, c.lengths[s] - first);
      std::vector<std::uint32_t> tokens(count), positions(count), row_pages;
      std::iota(positions.begin(), positions.end(), first);
      for (std::uint32_t r = 0; r < count; ++r)
        row_pages.insert(row_pages.end(), pages[s].begin(), pages[s].end());
      const auto seed = static_cast<std::uint32_t>(s * 1000 + first);
      std::vector<float> key_values = TryingValues(count * kv_columns, seed, c.spread);
      for (const std::uint32_t position : c.overflowed)
        if (position >= first && position < first + count)
          key_values[(position - first) * kv_columns] = 1e38f;
      ASSERT_TRUE(bench.backend().Upload(*keys, key_values).has_value());
      ASSERT_TRUE(
          bench.backend().Upload(*values, TryingValues(count * kv_columns, seed + 1)).has_value());
      bench.Begin({.tokens = tokens,
                   .positions = positions,
                   .pages = row_pages,
                   .pages_per_row = pages_per_row});
      bench.backend().StoreKv(*keys, *values, *cache);
      bench.Finish();
    }

  const auto rows = static_cast<std::uint32_t>(c.lengths.size()) * c.rows_per_sequence;
  const auto q = bench.NewTensor(rows, q_columns, TryingValues(rows * q_columns, 77, c.spread));
  const auto out = bench.NewTensor(rows, q_columns);
  std::vector<std::uint32_t> tokens(rows), positions, row_pages;
  for (std::size_t s = 0; s < c.lengths.size(); ++s)
    for (std::uint32_t r = 0; r < c.rows_per_sequence; ++r) {
      positions.push_back(c.lengths[s] - std::min(c.lengths[s], c.rows_per_sequence - r));
      row_pages.insert(row_pages.end(), pages[s].begin(), pages[s].end());
    }
  bench.Begin({.tokens = tokens,
               .positions = positions,
               .pages = row_pages,
               .pages_per_row = pages_per_row});
  bench.backend().Attention(*q, *cache, {c.head_count, c.kv_head_count, c.head_size}, *out);
  bench.Finish();
  bench.Take(*out, rows);
}

TEST_P(BackendConformance, AttentionOverHeadSizes) {
  for (const std::uint32_t head_size : {4u, 32u, 48u, 64u, 80u, 128u, 256u}) {
    SCOPED_TRACE(Trace("head size", {head_size}));
    ExpectSameBits([&](Workbench& b) { Attend(b, {head_size, 2, 1, {1, 7, 8, 9, 33, 255, 256}}); });
  }
}

TEST_P(BackendConformance, AttentionOfSharedKeyHeads) {
  for (const std::uint32_t shared : {1u, 2u, 4u, 8u}) {
    SCOPED_TRACE(Trace("heads per key head", {shared}));
    ExpectSameBits([&](Workbench& b) { Attend(b, {32, 3 * shared, 3, {5, 100}, 3}); });
  }
}

TEST_P(BackendConformance, AttentionOverManyPages) {
  ExpectSameBits([&](Workbench& b) { Attend(b, {64, 4, 2, {257, 1, 512, 513, 3000, 30}, 2}); });
  ExpectSameBits([&](Workbench& b) { Attend(b, {80, 2, 2, {700, 1025}, 5}); });
}

// Scores so far apart that most weights are exactly 0, and so close that all count.
TEST_P(BackendConformance, AttentionOfExtremeScores) {
  for (const float spread : {1e-15f, 1e-3f, 30.0f, 1000.0f})
    ExpectSameBits([&](Workbench& b) { Attend(b, {32, 4, 2, {600, 50}, 2, spread}); });
}

// Their scores are NaN, and weigh nothing wherever in a chunk they are.
TEST_P(BackendConformance, AttentionPastKeysThatOverflowed) {
  for (const std::uint32_t length : {2u, 250u, 257u, 600u})
    ExpectSameBits([&](Workbench& b) {
      Attend(b, {32, 4, 2, {length}, 1, 1.0f, {0, 1 + length / 2, 256}});
    });
}

TEST_P(BackendConformance, AttentionOverALongSequence) {
  ExpectSameBits([&](Workbench& b) { Attend(b, {32, 2, 1, {20'000}, 2}); });
}

// As many chunks as are joined in one loop: the same page, again and again.
TEST_P(BackendConformance, AttentionOverTheMostPages) {
  constexpr std::uint32_t kMostPages = 60'000;
  ExpectSameBits([&](Workbench& bench) {
    const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
    const auto keys = bench.NewTensor(kPagePositions, 32, TryingValues(kPagePositions * 32, 1));
    const auto values = bench.NewTensor(kPagePositions, 32, TryingValues(kPagePositions * 32, 2));
    std::vector<std::uint32_t> zeros(kPagePositions), positions(kPagePositions);
    std::iota(positions.begin(), positions.end(), 0u);
    bench.Begin({.tokens = zeros, .positions = positions, .pages = zeros, .pages_per_row = 1});
    bench.backend().StoreKv(*keys, *values, *cache);
    bench.Finish();
    const auto q = bench.NewTensor(1, 32, TryingValues(32, 3));
    const auto out = bench.NewTensor(1, 32);
    const std::vector<std::uint32_t> token{0}, last{kMostPages * kPagePositions - 1};
    const std::vector<std::uint32_t> pages(kMostPages);
    bench.Begin({.tokens = token, .positions = last, .pages = pages, .pages_per_row = kMostPages});
    bench.backend().Attention(*q, *cache, {1, 1, 32}, *out);
    bench.Finish();
    bench.Take(*out, 1);
  });
}

TEST_P(BackendConformance, UploadedValuesComeBack) {
  for (const std::uint32_t columns : {1u, 32u, 33u, 1000u})
    ExpectSameBits([&](Workbench& bench) {
      const auto tensor = bench.NewTensor(9, columns, TryingValues(7 * columns, columns));
      bench.Take(*tensor, 9);
    });
}

TEST_P(BackendConformance, RefusesWeightsThatAreNotFinite) {
  for (const auto& [type, offset, value] : {std::tuple{WeightType::kF32, 3, 0x7F},
                                            {WeightType::kF16, 1, 0x7C},
                                            {WeightType::kQ8_0, 1, 0xFC}}) {
    Bytes bytes(2 * WeightRowBytes(type, 64));
    const std::size_t at = WeightRowBytes(type, 64) + static_cast<std::size_t>(offset);
    bytes[at] = static_cast<std::uint8_t>(value);
    if (type == WeightType::kF32) bytes[at - 1] = 0x80;
    const auto matrix = subject_->NewMatrix(type, 2, 64, bytes);
    ASSERT_FALSE(matrix.has_value()) << WeightTypeName(type);
    EXPECT_EQ(matrix.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_P(BackendConformance, RefusesPlacesBeyondTheCaches) {
  const auto cache = subject_->NewKvCache({.page_count = 2, .kv_head_count = 1, .head_size = 32});
  ASSERT_TRUE(cache.has_value());
  const std::vector<std::uint32_t> tokens(1), page_beyond{2}, page{1}, position{0},
      position_beyond{256};
  EXPECT_TRUE(subject_->BeginStep({tokens, position, page, 1}).has_value());
  EXPECT_EQ(subject_->BeginStep({tokens, position, page_beyond, 1}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(subject_->BeginStep({tokens, position_beyond, page, 1}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_P(BackendConformance, RefusesTokensAndPositionsBeyondTheirTables) {
  Workbench bench(*subject_);
  const auto cache = bench.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32});
  const auto table = bench.NewMatrix(WeightType::kF32, 4, 32, 1);
  const auto rope = bench.NewTensor(4, 32);
  const auto x = bench.NewTensor(1, 32);
  const std::vector<std::uint32_t> token{4}, position{4}, zero{0};
  const StopFlag stop{false};
  bench.Begin({token, zero, zero, 1});
  subject_->Embed(*table, EmbedBy::kToken, *x);
  EXPECT_EQ(subject_->Finish(stop).error().code, ErrorCode::kInvalidArgument);
  bench.Begin({zero, position, zero, 1});
  subject_->Rope(*x, *rope, 32);
  EXPECT_EQ(subject_->Finish(stop).error().code, ErrorCode::kInvalidArgument);
  // The next step is not touched by it.
  bench.Begin({zero, zero, zero, 1});
  subject_->Embed(*table, EmbedBy::kToken, *x);
  EXPECT_TRUE(subject_->Finish(stop).has_value());
}

TEST_P(BackendConformance, StopsBeforeAStepWhenTold) {
  Workbench bench(*subject_);
  const auto x = bench.NewTensor(1, 32);
  const auto y = bench.NewTensor(1, 32);
  StopFlag stop{true};
  bench.BeginRows(1);
  subject_->Add(*x, *y);
  const Status status = subject_->Finish(stop);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  stop = false;
  bench.BeginRows(1);
  subject_->Add(*x, *y);
  EXPECT_TRUE(subject_->Finish(stop).has_value());
}

}  // namespace
}  // namespace fallow::engine
