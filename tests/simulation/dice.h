// Chance, from a seed.
#pragma once

#include <cstdint>

#include "platform/fake/seeded_random.h"

namespace fallow::simulation {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t Below(std::uint64_t bound) { return random_.Next() % bound; }
  std::uint64_t Between(std::uint64_t first, std::uint64_t last) {
    return first + Below(last - first + 1);
  }
  bool OneIn(std::uint64_t chances) { return Below(chances) == 0; }
  Random& random() { return random_; }

 private:
  SeededRandom random_;
};

}  // namespace fallow::simulation
