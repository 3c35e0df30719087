#include "engine/vulkan/slice_pacer.h"

#include <algorithm>
#include <cmath>

namespace fallow::engine {
namespace {

// The device may have been busy with others' work: no single measurement changes the guess by more
// than these.
constexpr double kMaxStep = 2;
constexpr double kMaxStepOverCeiling = 8;
constexpr double kLearningRate = 0.25;
constexpr double kMinNsPerWork = 1e-4;
constexpr double kMaxNsPerWork = 1e4;

}  // namespace

std::vector<GridPiece> SplitGrid(const std::array<std::uint32_t, 3>& grid, double work,
                                 double budget) {
  const auto axis = static_cast<std::size_t>(std::ranges::max_element(grid) - grid.begin());
  const double wanted = std::ceil(work / budget);
  const auto pieces = static_cast<std::uint32_t>(std::clamp<double>(wanted, 1, grid[axis]));
  std::vector<GridPiece> out;
  for (std::uint32_t i = 0; i < pieces; ++i) {
    GridPiece piece{.count = grid};
    const auto begin = static_cast<std::uint32_t>(std::uint64_t{grid[axis]} * i / pieces);
    const auto end = static_cast<std::uint32_t>(std::uint64_t{grid[axis]} * (i + 1) / pieces);
    piece.first[axis] = begin;
    piece.count[axis] = end - begin;
    out.push_back(piece);
  }
  return out;
}

void SlicePacer::Learn(double work, double measured_ns) {
  if (work <= 0 || measured_ns <= 0) return;
  longest_ns_ = std::max(longest_ns_, measured_ns);
  const double seen = measured_ns / work;
  if (measured_ns > kSliceCeilingNs) {
    over_ceiling_count_++;
    ns_per_work_ = std::clamp(seen, ns_per_work_, ns_per_work_ * kMaxStepOverCeiling);
  } else {
    const double believed = std::clamp(seen, ns_per_work_ / kMaxStep, ns_per_work_ * kMaxStep);
    ns_per_work_ += (believed - ns_per_work_) * kLearningRate;
  }
  ns_per_work_ = std::clamp(ns_per_work_, kMinNsPerWork, kMaxNsPerWork);
}

}  // namespace fallow::engine
