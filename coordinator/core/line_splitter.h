// A LineSplitter cuts a stream of bytes into lines, in memory bounded by the longest line allowed.
//
// A line ends with LF or CR LF; the last needs no end. A UTF-8 byte order mark at the start is not
// part of the first line. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fallow {

struct SplitLine {
  std::uint64_t number = 0;  // from 1
  std::uint64_t offset = 0;  // of its first byte in the stream
  std::uint64_t length = 0;  // bytes, without its end
  bool too_long = false;     // longer than the limit: `text` is empty
  std::string_view text;     // valid during the call
};

class LineSplitter {
 public:
  explicit LineSplitter(std::size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Calls `on_line` for each line that ends within `bytes`, until it returns false.
  void Feed(ByteView bytes, const std::function<bool(const SplitLine&)>& on_line);
  // The stream has ended: calls `on_line` for a last line without an end.
  void Finish(const std::function<bool(const SplitLine&)>& on_line);

  std::uint64_t line_count() const { return line_count_; }

 private:
  void Append(std::string_view part);
  bool Emit(std::string_view rest, const std::function<bool(const SplitLine&)>& on_line);

  std::size_t max_line_bytes_;
  std::string partial_;            // of the line under way; at most max_line_bytes_ + 1
  std::uint64_t line_length_ = 0;  // of the line under way so far, a trailing CR included
  std::uint64_t line_offset_ = 0;
  std::uint64_t line_count_ = 0;
  bool ends_with_cr_ = false;  // what has been seen of the line under way
};

}  // namespace fallow
