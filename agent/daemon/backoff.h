// How long to wait before the next try: doubling, with jitter so that many devices do not come back
// at once.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/random.h"

namespace fallow {

class Backoff {
 public:
  // `random` must outlive it.
  Backoff(Random& random, std::chrono::milliseconds first, std::chrono::milliseconds max)
      : random_(random), first_(first), max_(max), step_(first) {}

  // Between half of the step and the whole of it; the step doubles up to the maximum.
  std::chrono::milliseconds Next() {
    const auto step = step_;
    step_ = std::min(step_ * 2, max_);
    ++tries_;
    return step / 2 + std::chrono::milliseconds(random_.Next() %
                                                (static_cast<std::uint64_t>(step.count()) / 2 + 1));
  }
  // Something went well.
  void Reset() {
    step_ = first_;
    tries_ = 0;
  }
  int tries() const { return tries_; }  // since the last success

 private:
  Random& random_;
  std::chrono::milliseconds first_, max_, step_;
  int tries_ = 0;
};

}  // namespace fallow
