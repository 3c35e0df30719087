#include "engine/tokenizer/space_mark.h"

namespace fallow::engine {

void AppendWithSpaceMarks(std::string_view text, std::string& spelling) {
  for (const char c : text) {
    if (c == ' ') {
      spelling += kSpaceMark;
    } else {
      spelling += c;
    }
  }
}

std::string WithSpaces(std::string_view spelling) {
  std::string text;
  while (!spelling.empty()) {
    const bool space = spelling.starts_with(kSpaceMark);
    text += space ? ' ' : spelling.front();
    spelling.remove_prefix(space ? kSpaceMark.size() : 1);
  }
  return text;
}

}  // namespace fallow::engine
