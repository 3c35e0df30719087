// The tensor types that GGUF files may name: every one that ggml has or had, with its size, whether
// we compute it or not. So a file's directory can be read, and what is refused refused by name.
// Source: ggml.h and ggml-common.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fallow::engine {

struct GgufTensorType {
  std::uint32_t id = 0;
  std::string_view name;
  std::uint32_t block_elements = 0;  // a row is whole blocks
  std::uint32_t block_bytes = 0;
};

std::span<const GgufTensorType> AllGgufTensorTypes();
// Null for a number that ggml never used.
const GgufTensorType* FindGgufTensorType(std::uint32_t id);

}  // namespace fallow::engine
