// Norms: the bits of the plain CPU backend at widths of 1, odd, just past a tile, and large, whole
// rows and heads of a row.
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

}  // namespace
}  // namespace fallow::engine
