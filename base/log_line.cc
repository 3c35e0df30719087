#include "base/log_line.h"

namespace fallow {

std::string OneLine(std::string_view text) {
  std::string line(text);
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x20 || byte == 0x7f) line[i] = '?';
    // U+0080 to U+009F, as UTF-8; terminals take U+009B for an escape.
    const bool c1 = byte == 0xc2 && i + 1 < line.size() &&
                    static_cast<unsigned char>(line[i + 1]) < 0xa0 &&
                    static_cast<unsigned char>(line[i + 1]) >= 0x80;
    if (c1) line.replace(i, 2, "?");
  }
  return line;
}

}  // namespace fallow
