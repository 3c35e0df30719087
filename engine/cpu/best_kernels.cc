#include "engine/cpu/kernel_set.h"

namespace fallow::engine {

const KernelSet& BestKernels() {
  if (const KernelSet* kernels = Avx512Kernels()) return *kernels;
  if (const KernelSet* kernels = Avx2Kernels()) return *kernels;
  return PlainKernels();
}

}  // namespace fallow::engine
