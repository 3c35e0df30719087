// The kernels of each weight type, by the names of shaders/CMakeLists.txt.
#pragma once

#include <string>
#include <string_view>

#include "engine/weight_format.h"

namespace fallow::engine {

struct TypeKernels {
  std::string embed;
  std::string few;         // a product of few rows
  std::string many;        // and of many
  std::string few_packed;  // with a packed dot product; integer types only
  std::string many_packed;
  // Nominal time of a multiply-add in either (engine/vulkan/dispatch.h).
  double few_ns = 0;
  double many_ns = 0;

  std::string_view Product(bool many_rows, bool packed) const {
    if (packed) return many_rows ? many_packed : few_packed;
    return many_rows ? many : few;
  }
  double MultiplyAddNs(bool many_rows) const { return many_rows ? many_ns : few_ns; }
};

const TypeKernels& KernelsOf(WeightType type);

}  // namespace fallow::engine
