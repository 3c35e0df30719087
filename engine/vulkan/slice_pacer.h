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

// What one submission should take, and what none may: two of the first end before an owner notices.
inline constexpr double kSliceTargetNs = 4e6;
inline constexpr double kSliceCeilingNs = 50e6;

class SlicePacer {
 public:
  // Work for the next submission.
  double budget() const { return kSliceTargetNs / ns_per_work_; }
  // A submission of `work` took `measured_ns`. One above the ceiling is counted, and makes the next
  // ones smaller at once.
  void Learn(double work, double measured_ns);

  std::uint64_t over_ceiling_count() const { return over_ceiling_count_; }
  double longest_ns() const { return longest_ns_; }

 private:
  double ns_per_work_ = 1;
  std::uint64_t over_ceiling_count_ = 0;
  double longest_ns_ = 0;
};

}  // namespace fallow::engine
