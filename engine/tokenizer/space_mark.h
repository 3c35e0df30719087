// U+2581, the mark that stands for a space in SentencePiece's and converted WordPiece
// vocabularies.
#pragma once

#include <string>
#include <string_view>

namespace fallow::engine {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// Appends `text` with its spaces as marks.
void AppendWithSpaceMarks(std::string_view text, std::string& spelling);
// The spelling with its marks as spaces.
std::string WithSpaces(std::string_view spelling);

}  // namespace fallow::engine
