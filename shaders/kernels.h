// The kernels as SPIR-V modules, compiled when the project is built and linked into the program.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fallow::shaders {

struct Kernel {
  std::string_view name;  // as in shaders/CMakeLists.txt
  std::span<const std::uint32_t> words;
};

std::span<const Kernel> AllKernels();

}  // namespace fallow::shaders
