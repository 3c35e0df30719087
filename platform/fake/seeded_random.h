// Random bytes that are the same in every run: SplitMix64 from a seed.
#pragma once

#include "base/random.h"

namespace fallow {

class SeededRandom : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed = 1) : state_(seed) {}

  void Fill(std::span<std::uint8_t> bytes) override {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (i % 8 == 0) value = Step();
      bytes[i] = static_cast<std::uint8_t>(value >> (i % 8 * 8));
    }
  }

 private:
  std::uint64_t Step() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

}  // namespace fallow
