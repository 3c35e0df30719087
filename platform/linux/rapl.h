// PackagePower: the watts that the processor packages draw, by the energy counters of RAPL
// (Documentation/power/powercap). Only root may read them (CVE-2020-8694); without them it is
// silent.
//
// Threading: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/linux/kernel_files.h"

namespace fallow {

class PackagePower {
 public:
  // `sys`: where sysfs is mounted.
  explicit PackagePower(const std::string& sys);

  // The mean of all packages together since the call before; none at the first, after a gap so long
  // that a counter may have gone round more than once, and where a figure makes no sense (counters
  // start anew after sleep).
  std::optional<double> Watts(SteadyTime now);

 private:
  struct Package {
    KernelFile energy;          // µJ
    std::int64_t range_uj = 0;  // where the counter starts anew
    std::optional<std::int64_t> last_uj;
  };

  std::vector<Package> packages_;
  std::optional<SteadyTime> last_read_;
};

}  // namespace fallow
