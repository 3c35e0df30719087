// A Text is bytes that know who wrote each of them: the template, or the messages it renders.
//
// Whatever a template does with a text (cut, join, replace, escape, change case), the mark stays
// with the byte, so that a rendered prompt tells a control token that the template put there from
// one that a message spells. Bytes are UTF-8; positions are bytes unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine::jinja {

enum class Writer : std::uint8_t { kTemplate, kMessage };

class Text {
 public:
  Text() = default;
  Text(std::string bytes, Writer writer);

  const std::string& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Memory held, for budgets.
  std::size_t footprint() const { return bytes_.size() + runs_.size() * sizeof(Run); }

  // Of the byte at `at`, which must be below size().
  Writer WriterAt(std::size_t at) const;

  void Append(std::string_view bytes, Writer writer);
  void Append(const Text& other) { Append(other, 0, other.size()); }
  // The bytes of `other` from `begin`, which must lie inside it; not itself.
  void Append(const Text& other, std::size_t begin, std::size_t count);
  Text Slice(std::size_t begin, std::size_t count) const;

  // The runs in order, none empty, neighbours of different writers.
  std::vector<PromptPiece> Pieces() const;

 private:
  struct Run {
    std::size_t end = 0;  // of its last byte, exclusive
    Writer writer = Writer::kTemplate;
  };

  std::string bytes_;
  std::vector<Run> runs_;
};

// The length in bytes of the character that `text` starts with; 1 for a broken byte. `text` is not
// empty.
std::size_t CharacterBytes(std::string_view text);
std::size_t CountCharacters(std::string_view text);

// Where in `text` the first `needle` at or after `from` begins; npos if nowhere. Takes time linear
// in the two, whatever they hold.
std::size_t FindBytes(std::string_view text, std::string_view needle, std::size_t from);
// All places of a needle that is not empty, from left to right, none overlapping; `count_max` of
// them at most.
std::vector<std::size_t> FindAll(std::string_view text, std::string_view needle,
                                 std::size_t count_max);

// What Python's str.isspace counts as white space.
bool IsSpace(std::uint32_t code_point);

// Which ends of a text are stripped.
struct Ends {
  bool left = true;
  bool right = true;
};
// Without white space at its ends, or without the characters of `characters` if that is not null.
Text Strip(const Text& text, Ends ends, const std::string_view* characters = nullptr);
// The same for plain bytes; white space only.
std::string_view StripRight(std::string_view text);

enum class Case : std::uint8_t {
  kUpper,
  kLower,
  kCapital,  // the first character in title case, the others lower
  kWord,     // the first character upper, the others lower
  kTitle,    // the first letter of each run of letters in title case, the others lower
};
// As Python does it. kUnimplemented, with the character, for the rare ones whose case takes several
// characters (ligatures, Greek with subscripts) or depends on the word (a final sigma).
Result<Text> ChangeCase(const Text& text, Case wanted);

}  // namespace fallow::engine::jinja
