// Values as GGUF lays them down, appended to bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace fallow::engine {

template <class T>
void AppendValue(Bytes& bytes, T value) {
  static_assert(std::endian::native == std::endian::little,
                "GGUF files are written as values lie in memory");
  const auto* const raw = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), raw, raw + sizeof value);
}

inline void AppendText(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

// With its length in front.
inline void AppendString(Bytes& bytes, std::string_view text) {
  AppendValue(bytes, std::uint64_t{text.size()});
  AppendText(bytes, text);
}

}  // namespace fallow::engine
