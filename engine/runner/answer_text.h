// An AnswerText is the text of an answer as its tokens arrive: valid UTF-8, cut before the first
// stop string.
//
// Broken bytes become U+FFFD. Bytes that may yet become a character wait for the next token.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fallow::engine {

class AnswerText {
 public:
  explicit AnswerText(std::vector<std::string> stop_strings)
      : stop_strings_(std::move(stop_strings)) {}

  // Adds a token's bytes. True when a stop string has appeared; the text is then final.
  bool Append(std::string_view bytes);
  // No more tokens come.
  void Finish();

  const std::string& text() const { return text_; }
  std::string TakeText() { return std::move(text_); }

 private:
  bool CutAtStop(std::size_t search_from);

  std::vector<std::string> stop_strings_;
  std::string text_;
  std::string waiting_;  // fewer than 4 bytes between calls
  bool stopped_ = false;
};

}  // namespace fallow::engine
