#include "base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fallow {
namespace {

// Length of the sequence that starts at `bytes`, 0 if it is not one. `size` is at least 1.
std::size_t SequenceLength(const unsigned char* bytes, std::size_t size) {
  const unsigned char first = bytes[0];
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (size < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = bytes[1];
  if (first == 0xE0 && second < 0xA0) return 0;  // overlong
  if (first == 0xED && second > 0x9F) return 0;  // a surrogate
  if (first == 0xF0 && second < 0x90) return 0;  // overlong
  if (first == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
  return length;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t word;
    if (text.size() - at >= sizeof word) {
      std::memcpy(&word, bytes + at, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const std::size_t length = SequenceLength(bytes + at, text.size() - at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string ToValidUtf8(std::string_view text, std::size_t max_bytes) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string valid;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = SequenceLength(bytes + at, text.size() - at);
    const std::size_t step = length == 0 ? 1 : length;
    if (valid.size() + step > max_bytes) break;
    valid += length == 0 ? std::string_view("?") : text.substr(at, length);
    at += step;
  }
  return valid;
}

}  // namespace fallow
