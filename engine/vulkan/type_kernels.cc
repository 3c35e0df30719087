#include "engine/vulkan/type_kernels.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace fallow::engine {
namespace {

// Measured on lavapipe, relative to its other work. Many rows share what it takes to load and widen
// a weight.
constexpr double kIntegerFewNs = 0.1;
constexpr double kIntegerManyNs = 0.03;
constexpr double kFloatFewNs = 0.4;
constexpr double kFloatManyNs = 0.1;

TypeKernels NameKernels(const WeightFormat& format) {
  std::string name(format.name);
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  TypeKernels kernels{.embed = "embed_" + name,
                      .few = "matmul_few_" + name,
                      .many = "matmul_many_" + name,
                      .few_ns = format.is_integer() ? kIntegerFewNs : kFloatFewNs,
                      .many_ns = format.is_integer() ? kIntegerManyNs : kFloatManyNs};
  kernels.few_packed = kernels.few;
  kernels.many_packed = kernels.many;
  if (format.is_integer()) {
    kernels.few_packed += "_packed";
    kernels.many_packed += "_packed";
  }
  return kernels;
}

}  // namespace

const TypeKernels& KernelsOf(WeightType type) {
  static const std::vector<TypeKernels> kernels = [] {
    std::vector<TypeKernels> all;
    for (const WeightFormat& format : AllWeightFormats()) all.push_back(NameKernels(format));
    return all;
  }();
  return kernels[static_cast<std::size_t>(type)];
}

}  // namespace fallow::engine
