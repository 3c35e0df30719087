// Elementwise operators, one by one: the bits of the plain CPU backend at shapes of 1, odd, just
// past a tile, and large.
#include <cmath>
#include <functional>
#include <string_view>
#include <utility>

#include "tests/conformance/backend_conformance.h"

namespace fallow::engine {
namespace {

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

}  // namespace
}  // namespace fallow::engine
