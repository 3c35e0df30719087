// The contract in C++: test oracle, auditor, and executor for devices without a GPU.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/backend.h"

namespace fallow::engine {

enum class CpuPath : std::uint8_t {
  kBest,
  kPlain
};  // vectorised where the processor can, or plain C++ (the reference)

struct CpuBackendOptions {
  std::uint32_t thread_count = 0;  // 0: one per processor we may run on
  CpuPath path = CpuPath::kBest;
  std::uint64_t memory_bytes = 0;        // cap on allocations; 0: what the machine has
  std::uint64_t spare_memory_bytes = 0;  // of what the machine has left, not taken
};

std::unique_ptr<Backend> NewCpuBackend(const CpuBackendOptions& options);

}  // namespace fallow::engine
