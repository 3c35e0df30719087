// A little-endian value from bytes that need not be aligned.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace fallow::engine {

template <class T>
T ReadValue(const std::uint8_t* at) {
  static_assert(std::endian::native == std::endian::little,
                "GGUF files are read as they lie in memory");
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace fallow::engine
