#include "agent/worker/float_environment.h"

#include <cfenv>
#include <limits>

namespace fallow {

Status CheckFloatEnvironment() {
  if (std::fegetround() != FE_TONEAREST) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the processor does not round to nearest even: something loaded into this process "
                "changed its mode");
  }
  // Volatile: the compiler must leave these to the processor.
  volatile float smallest_normal = std::numeric_limits<float>::min();
  volatile float half = 0.5f;
  volatile float denormal = smallest_normal * half;  // zero if results are flushed
  volatile float doubled = denormal * 2.0f;          // zero if operands are taken as zero
  if (denormal == 0.0f || doubled != smallest_normal) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the processor flushes denormal numbers to zero: something loaded into this "
                "process changed its mode");
  }
  return {};
}

}  // namespace fallow
