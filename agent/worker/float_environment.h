// The floating-point environment that the arithmetic contract needs of the processor.
#pragma once

#include "base/result.h"

namespace fallow {

// kFailedPrecondition unless this thread rounds to nearest even and keeps denormals. Libraries
// loaded into the process can change either (start-up code built with fast-math does).
Status CheckFloatEnvironment();

}  // namespace fallow
