// A TextBuilder collects a text piece by piece and stops growing at the limit of a text.
#pragma once

#include <string_view>

#include "engine/chat/jinja/value.h"

namespace fallow::engine::jinja {

class TextBuilder {
 public:
  void Append(std::string_view bytes, Writer writer) {
    if (!full_) text_.Append(bytes, writer);
    full_ = full_ || text_.footprint() > kMaxTextBytes;
  }
  void Append(const Text& text) { Append(text, 0, text.size()); }
  void Append(const Text& text, std::size_t begin, std::size_t count) {
    if (!full_) text_.Append(text, begin, count);
    full_ = full_ || text_.footprint() > kMaxTextBytes;
  }

  // Once true, what is appended is dropped and MakeText refuses the text.
  bool full() const { return full_; }
  const Text& text() const { return text_; }
  Text Take() { return std::move(text_); }

 private:
  Text text_;
  bool full_ = false;
};

}  // namespace fallow::engine::jinja
