// Attention and its caches: the bits of the plain CPU backend over head sizes, pages, windows, caps
// and sequences that look ahead.
#include <algorithm>
#include <numeric>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

struct AttentionCase {
  std::uint32_t head_size;
  std::uint32_t head_count;
  std::uint32_t kv_head_count;
  std::vector<std::uint32_t> lengths;  // positions of each sequence; its last rows ask
  std::uint32_t rows_per_sequence = 1;
  float spread = 1.0f;
  std::vector<std::uint32_t> overflowed = {};  // positions of keys too large for an int8 block
  std::uint32_t scale_divisor = 0;
  std::uint32_t window = 0;
  float softcap = 0;

  AttentionShape shape() const {
    return {head_count, kv_head_count, head_size, scale_divisor, window, softcap};
  }
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
  bench.backend().Attention(*q, *cache, c.shape(), *out);
  bench.Finish();
  bench.Take(*out, rows);
}

// A case with a window, a cap, or a divisor of its own.
AttentionCase Windowed(std::uint32_t window, std::vector<std::uint32_t> lengths) {
  return {.head_size = 32,
          .head_count = 4,
          .kv_head_count = 2,
          .lengths = std::move(lengths),
          .rows_per_sequence = 3,
          .window = window};
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

// Windows that begin inside a chunk, at its first position and at its last, and hold one position.
TEST_P(BackendConformance, AttentionWithinAWindow) {
  for (const std::uint32_t window : {1u, 2u, 31u, 33u, 100u, 255u, 256u, 257u, 600u, 5000u}) {
    SCOPED_TRACE(Trace("window", {window}));
    ExpectSameBits([&](Workbench& b) {
      Attend(b, Windowed(window, {1, 33, 255, 256, 257, 300, 513, 1500}));
    });
  }
}

// A key that overflowed before the window is as if it were not there: not even its value counts.
TEST_P(BackendConformance, AttentionWithinAWindowPastKeysThatOverflowed) {
  for (const std::uint32_t length : {40u, 300u, 600u}) {
    SCOPED_TRACE(Trace("length", {length}));
    AttentionCase c = Windowed(20, {length});
    c.overflowed = {0, length - 30, length - 10, 256};
    ExpectSameBits([&](Workbench& b) { Attend(b, c); });
  }
}

TEST_P(BackendConformance, AttentionWithCappedScores) {
  for (const float softcap : {0.5f, 50.0f})
    for (const float spread : {1e-3f, 1.0f, 30.0f}) {
      AttentionCase c = Windowed(0, {1, 40, 300});
      c.softcap = softcap;
      c.spread = spread;
      c.overflowed = {5};
      ExpectSameBits([&](Workbench& b) { Attend(b, c); });
      c.window = 37;
      ExpectSameBits([&](Workbench& b) { Attend(b, c); });
    }
}

TEST_P(BackendConformance, AttentionWithADivisorOfItsOwn) {
  for (const std::uint32_t divisor : {1u, 168u, 256u}) {
    AttentionCase c = Windowed(0, {1, 300});
    c.scale_divisor = divisor;
    ExpectSameBits([&](Workbench& b) { Attend(b, c); });
  }
}

// Whole sequences in one step, every row of which sees its sequence to the end.
void LookAhead(Workbench& bench, const AttentionShape& shape,
               const std::vector<std::uint32_t>& lengths) {
  const std::uint32_t pages_per_row =
      (*std::ranges::max_element(lengths) + kPagePositions - 1) / kPagePositions;
  std::vector<std::uint32_t> positions, last_seen, pages;
  std::uint32_t page_count = 0;
  for (const std::uint32_t length : lengths) {
    for (std::uint32_t p = 0; p < length; ++p) {
      positions.push_back(p);
      last_seen.push_back(length - 1);
      for (std::uint32_t i = 0; i < pages_per_row; ++i) pages.push_back(page_count + i);
    }
    page_count += pages_per_row;
  }
  const auto rows = static_cast<std::uint32_t>(positions.size());
  const std::uint32_t kv_columns = shape.kv_head_count * shape.head_size;
  const std::uint32_t q_columns = shape.head_count * shape.head_size;
  const auto cache = bench.NewKvCache({page_count, shape.kv_head_count, shape.head_size});
  const auto keys = bench.NewTensor(rows, kv_columns, TryingValues(rows * kv_columns, 1));
  const auto values = bench.NewTensor(rows, kv_columns, TryingValues(rows * kv_columns, 2));
  const auto q = bench.NewTensor(rows, q_columns, TryingValues(rows * q_columns, 3));
  const auto out = bench.NewTensor(rows, q_columns);
  const std::vector<std::uint32_t> tokens(rows);
  bench.Begin({.tokens = tokens,
               .positions = positions,
               .pages = pages,
               .pages_per_row = pages_per_row,
               .last_seen = last_seen});
  bench.backend().StoreKv(*keys, *values, *cache);
  bench.backend().Attention(*q, *cache, shape, *out);
  bench.Finish();
  bench.Take(*out, rows);
}

TEST_P(BackendConformance, AttentionThatLooksAhead) {
  ExpectSameBits([&](Workbench& b) { LookAhead(b, {4, 4, 32}, {1, 2, 33, 64}); });
  ExpectSameBits([&](Workbench& b) { LookAhead(b, {2, 1, 64}, {300, 7, 256}); });
  ExpectSameBits([&](Workbench& b) { LookAhead(b, {2, 1, 48, 0, 20}, {70, 290}); });
  ExpectSameBits([&](Workbench& b) { LookAhead(b, {1, 1, 32}, {9}); });
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
  // Nor may a row look at them.
  EXPECT_EQ(subject_->BeginStep({tokens, position, page, 1, position_beyond}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(subject_->BeginStep({tokens, position, page, 1, position}).has_value());
}

}  // namespace
}  // namespace fallow::engine
