#include "engine/backend.h"

#include "base/check.h"

namespace fallow::engine {

std::string_view WeightTypeName(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "F32";
    case WeightType::kF16:
      return "F16";
    case WeightType::kQ8_0:
      return "Q8_0";
  }
  FALLOW_UNREACHABLE();
}

std::uint64_t WeightRowBytes(WeightType type, std::uint64_t columns) {
  switch (type) {
    case WeightType::kF32:
      return columns * 4;
    case WeightType::kF16:
      return columns * 2;
    case WeightType::kQ8_0:
      return columns / kQuantBlock * 34;  // fp16 scale and 32 int8
  }
  FALLOW_UNREACHABLE();
}

}  // namespace fallow::engine
