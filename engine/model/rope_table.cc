#include "engine/model/rope_table.h"

#include "engine/exact.h"
#include "engine/exact_double.h"

namespace fallow::engine {

std::vector<float> RopeTable(std::uint32_t head_size, std::uint32_t positions, double base) {
  std::vector<double> frequencies;
  for (std::uint32_t i = 0; i < head_size; i += 2) {
    frequencies.push_back(DoubleExp(-DoubleLog(base) * (static_cast<double>(i) / head_size)));
  }
  std::vector<float> table;
  table.reserve(std::size_t{positions} * head_size);
  for (std::uint32_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const SineCosine at = DoubleSineCosine(static_cast<double>(position) * frequency);
      table.push_back(ExactSnap(static_cast<float>(at.cosine)));
      table.push_back(ExactSnap(static_cast<float>(at.sine)));
    }
  }
  return table;
}

}  // namespace fallow::engine
