// The rotary table of a model: cosine and sine of position times frequency.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/model/model_shape.h"
#include "engine/step_control.h"

namespace fallow::engine {

// Appends `positions` rows of `spec.size` values: (cos, sin) of each frequency. `divisors`:
// spec.size / 2 of them, each above 0, or none. The same bits on every host. kCancelled when it is
// stopped: a long context's table takes a while.
Status AppendRotaryTable(const RotarySpec& spec, std::span<const float> divisors,
                         std::uint32_t positions, const StepControl& control,
                         std::vector<float>& table);

}  // namespace fallow::engine
