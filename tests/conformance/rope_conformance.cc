// Rotation and the tables that rows look up: the bits of the plain CPU backend over head sizes,
// parts of heads and places; what is beyond a table is refused.
#include <utility>
#include <vector>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

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

}  // namespace
}  // namespace fallow::engine
