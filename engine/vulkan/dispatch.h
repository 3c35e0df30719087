// A Dispatch is one run of a kernel over a grid: what it is bound to, told, and touches.
#pragma once

#include <volk.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <vector>

#include "engine/vulkan/binding_sets.h"
#include "engine/vulkan/kernel_set.h"
#include "engine/vulkan/memory_pool.h"

namespace fallow::engine {

// Stands for the buffer of the step's words until it is known.
inline constexpr std::uint32_t kStepBlock = UINT32_MAX;

// A range of memory that a dispatch touches, named by its first byte.
struct MemoryUse {
  std::uint32_t block = 0;
  std::uint64_t offset = 0;
  bool writes = false;
};

struct Dispatch {
  Kernel* kernel = nullptr;
  BoundBlocks blocks{};
  std::array<std::byte, kMaxArgumentBytes> arguments{};
  std::uint32_t argument_bytes = 0;
  std::array<std::uint32_t, 3> grid{1, 1, 1};
  double work = 0;  // nominal nanoseconds
  std::vector<MemoryUse> uses;
};

// Nominal time, for slices: what a dispatch costs in itself, and a multiply-add or another
// operation in it.
inline constexpr double kDispatchNs = 12000;
inline constexpr double kMultiplyAddNs = 0.1;
inline constexpr double kElementNs = 2;

template <class Arguments>
void SetArguments(Dispatch& dispatch, const Arguments& arguments) {
  static_assert(sizeof(Arguments) <= kMaxArgumentBytes);
  std::memcpy(dispatch.arguments.data(), &arguments, sizeof(arguments));
  dispatch.argument_bytes = sizeof(arguments);
}

template <class Arguments>
Arguments GetArguments(const Dispatch& dispatch) {
  Arguments arguments;
  std::memcpy(&arguments, dispatch.arguments.data(), sizeof(arguments));
  return arguments;
}

inline void Reads(Dispatch& dispatch, std::uint32_t binding, const MemoryRange& memory) {
  dispatch.blocks[binding] = memory.block();
  dispatch.uses.push_back({memory.block(), memory.offset(), false});
}
inline void Writes(Dispatch& dispatch, std::uint32_t binding, const MemoryRange& memory) {
  dispatch.blocks[binding] = memory.block();
  dispatch.uses.push_back({memory.block(), memory.offset(), true});
}

// Offsets of the usual element types.
inline std::uint32_t Words(const MemoryRange& memory) {
  return memory.ElementOffset(4);
}
inline std::uint32_t Vectors(const MemoryRange& memory) {
  return memory.ElementOffset(16);
}

}  // namespace fallow::engine
