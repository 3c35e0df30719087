#include "coordinator/core/line_splitter.h"

#include <algorithm>

namespace fallow {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

void LineSplitter::Append(std::string_view part) {
  if (part.empty()) return;
  line_length_ += part.size();
  ends_with_cr_ = part.back() == '\r';
  // One byte more than the limit is kept, for a carriage return that may end the line.
  const std::size_t room = max_line_bytes_ + 1 - std::min(partial_.size(), max_line_bytes_ + 1);
  partial_.append(part.substr(0, room));
}

bool LineSplitter::Emit(std::string_view rest,
                        const std::function<bool(const SplitLine&)>& on_line) {
  SplitLine line;
  line.number = ++line_count_;
  line.offset = line_offset_;
  if (line_length_ == 0) {  // the whole line is in `rest`: no copy
    line_length_ = rest.size();
    ends_with_cr_ = !rest.empty() && rest.back() == '\r';
    line.text = rest;
  } else {
    Append(rest);
    line.text = partial_;
  }
  line.length = line_length_ - (ends_with_cr_ ? 1 : 0);
  line.too_long = line.length > max_line_bytes_;
  line.text = line.too_long ? std::string_view() : line.text.substr(0, line.length);
  if (line.number == 1 && line.text.starts_with(kByteOrderMark)) {
    line.text.remove_prefix(kByteOrderMark.size());
    line.offset += kByteOrderMark.size();
    line.length -= kByteOrderMark.size();
  }
  const bool go_on = on_line(line);
  line_offset_ += line_length_ + 1;
  line_length_ = 0;
  ends_with_cr_ = false;
  partial_.clear();
  return go_on;
}

void LineSplitter::Feed(ByteView bytes, const std::function<bool(const SplitLine&)>& on_line) {
  std::string_view text = AsText(bytes);
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return Append(text);
    if (!Emit(text.substr(0, end), on_line)) return;
    text.remove_prefix(end + 1);
  }
}

void LineSplitter::Finish(const std::function<bool(const SplitLine&)>& on_line) {
  if (line_length_ > 0) Emit({}, on_line);
}

}  // namespace fallow
