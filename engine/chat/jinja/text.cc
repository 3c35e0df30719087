#include "engine/chat/jinja/text.h"

#include <algorithm>

#include "base/check.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

// The code point of the character that `text` starts with; broken bytes are no space and no member
// of a set.
std::uint32_t FirstCodePoint(std::string_view text) {
  const Utf8Step step = ReadUtf8(text);
  return step.kind == Utf8Kind::kCharacter ? step.code_point : 0xFFFFFFFF;
}

// The last character's start; that of the last byte where it is broken.
std::size_t LastCharacter(std::string_view text) {
  for (std::size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    const Utf8Step step = ReadUtf8(text.substr(text.size() - length));
    if (step.kind == Utf8Kind::kCharacter && step.length == length) return text.size() - length;
  }
  return text.size() - 1;
}

bool IsStripped(std::string_view character, const std::string_view* characters) {
  if (characters == nullptr) return IsSpace(FirstCodePoint(character));
  for (std::string_view rest = *characters; !rest.empty();) {
    const std::size_t length = CharacterBytes(rest);
    if (rest.substr(0, length) == character) return true;
    rest.remove_prefix(length);
  }
  return false;
}

}  // namespace

Text::Text(std::string bytes, Writer writer) : bytes_(std::move(bytes)) {
  if (!bytes_.empty()) runs_.push_back({bytes_.size(), writer});
}

Writer Text::WriterAt(std::size_t at) const {
  FALLOW_CHECK(at < size());
  return std::ranges::upper_bound(runs_, at, {}, &Run::end)->writer;
}

void Text::Append(std::string_view bytes, Writer writer) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().writer == writer) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), writer});
  }
}

void Text::Append(const Text& other, std::size_t begin, std::size_t count) {
  FALLOW_CHECK(&other != this && begin <= other.size() && count <= other.size() - begin);
  const std::size_t end = begin + count;
  auto run = std::ranges::upper_bound(other.runs_, begin, {}, &Run::end);
  while (begin < end) {
    const std::size_t stop = std::min(end, run->end);
    Append(std::string_view(other.bytes_).substr(begin, stop - begin), run->writer);
    begin = stop;
    ++run;
  }
}

Text Text::Slice(std::size_t begin, std::size_t count) const {
  Text slice;
  slice.Append(*this, begin, count);
  return slice;
}

std::vector<PromptPiece> Text::Pieces() const {
  std::vector<PromptPiece> pieces;
  std::size_t begin = 0;
  for (const Run& run : runs_) {
    pieces.push_back({bytes_.substr(begin, run.end - begin), run.writer == Writer::kTemplate});
    begin = run.end;
  }
  return pieces;
}

std::size_t CharacterBytes(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < 0x80) return 1;
  const Utf8Step step = ReadUtf8(text);
  return step.kind == Utf8Kind::kCharacter ? step.length : 1;
}

std::size_t CountCharacters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); text.remove_prefix(CharacterBytes(text))) ++count;
  return count;
}

std::size_t FindBytes(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const auto found = FindAll(text.substr(from), needle, 1);
  return found.empty() ? std::string_view::npos : from + found[0];
}

// Knuth, Morris and Pratt's search: `border[i]` is the length of the longest proper prefix of the
// needle that ends its first i + 1 bytes.
std::vector<std::size_t> FindAll(std::string_view text, std::string_view needle,
                                 std::size_t count_max) {
  FALLOW_CHECK(!needle.empty());
  std::vector<std::size_t> places;
  if (needle.size() > text.size() || count_max == 0) return places;
  std::vector<std::size_t> border(needle.size(), 0);
  for (std::size_t i = 1, matched = 0; i < needle.size(); ++i) {
    while (matched > 0 && needle[i] != needle[matched]) matched = border[matched - 1];
    if (needle[i] == needle[matched]) ++matched;
    border[i] = matched;
  }
  for (std::size_t i = 0, matched = 0; i < text.size(); ++i) {
    while (matched > 0 && text[i] != needle[matched]) matched = border[matched - 1];
    if (text[i] == needle[matched]) ++matched;
    if (matched < needle.size()) continue;
    places.push_back(i + 1 - needle.size());
    if (places.size() == count_max) break;
    matched = 0;
  }
  return places;
}

bool IsSpace(std::uint32_t code_point) {
  return (code_point >= 0x09 && code_point <= 0x0D) || (code_point >= 0x1C && code_point <= 0x20) ||
         code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

Text Strip(const Text& text, Ends ends, const std::string_view* characters) {
  const std::string_view bytes = text.bytes();
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  while (ends.left && begin < end) {
    const std::size_t length = CharacterBytes(bytes.substr(begin));
    if (!IsStripped(bytes.substr(begin, length), characters)) break;
    begin += length;
  }
  while (ends.right && begin < end) {
    const std::size_t last = begin + LastCharacter(bytes.substr(begin, end - begin));
    if (!IsStripped(bytes.substr(last, end - last), characters)) break;
    end = last;
  }
  return text.Slice(begin, end - begin);
}

std::string_view StripRight(std::string_view text) {
  while (!text.empty()) {
    const std::size_t last = LastCharacter(text);
    if (!IsSpace(FirstCodePoint(text.substr(last)))) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace fallow::engine::jinja
