// A SlicePacer decides how much work goes into one submission, so that it takes a few milliseconds
// on this device.
//
// Work is counted in nominal nanoseconds, a guess from the shapes; the pacer learns how far off the
// guess is. Threading: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace fallow::engine {

// A part of a dispatch's grid.
struct GridPiece {
  std::array<std::uint32_t, 3> first{};
  std::array<std::uint32_t, 3> count{};

  bool operator==(const GridPiece&) const = default;
};

// Cuts a grid of `work` along its longest axis into pieces of at most `budget` each, as far as
// whole workgroups go.
std::vector<GridPiece> SplitGrid(const std::array<std::uint32_t, 3>& grid, double work,
                                 double budget);

class SlicePacer {
 public:
  // Work for the next submission.
  double budget() const;
  // A submission of `work` took `measured_ns`.
  void Learn(double work, double measured_ns);

 private:
  double ns_per_work_ = 1;
};

}  // namespace fallow::engine
