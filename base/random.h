// Unpredictable bytes as a seam: the operating system's in production, a seeded stream in tests.
#pragma once

#include <span>
#include <string>

#include "base/bytes.h"
#include "base/encoding.h"

namespace fallow {

class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<std::uint8_t> bytes) = 0;

  std::uint64_t Next() {
    std::uint8_t bytes[8];
    Fill(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
  }
  // `byte_count` random bytes in lower-case hexadecimal.
  std::string Hex(std::size_t byte_count) {
    Bytes bytes(byte_count);
    Fill(bytes);
    return ToHex(bytes);
  }
};

}  // namespace fallow
