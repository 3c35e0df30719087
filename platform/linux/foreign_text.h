// Words of other programs (names of windows, reasons of inhibitors), fit for a line of ours.
//
// Thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace fallow {

inline constexpr std::size_t kMaxForeignTextBytes = 80;

// UTF-8 without control characters, cut to the limit.
inline std::string ForeignText(std::string_view text) {
  std::string shown = ToValidUtf8(text, kMaxForeignTextBytes);
  std::ranges::replace_if(
      shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return shown;
}

}  // namespace fallow
