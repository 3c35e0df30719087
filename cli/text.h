// Text for people in a terminal: widths, tables, bars, sizes and times.
//
// Widths count columns of a terminal, not bytes: a combining mark takes none, an East Asian letter
// two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::cli {

// `text` without what could steer the terminal: control characters and malformed UTF-8 become "?".
// Everything that comes from the coordinator passes through here before it is shown.
std::string Printable(std::string_view text);

std::size_t DisplayWidth(std::string_view printable);
// At most `width` columns; a longer text ends in "…".
std::string Shorten(std::string_view printable, std::size_t width);

std::string BytesText(std::uint64_t bytes);       // "2.7 MB"
std::string CountText(std::uint64_t count);       // "1,953"
std::string ShortCountText(std::uint64_t count);  // "2.5 M"
std::string DurationText(double seconds);         // "45 s", "2 min 05 s", "3 h 12 min", "4 d 2 h"
std::string MillisecondsText(double ms);          // "0.4 ms", "31 ms", "2.5 s"
std::string RateText(double per_second);          // "0.4", "12.5", "1,240"
std::string TimeText(std::int64_t unix_seconds);  // local time, "2026-11-23 00:12:40"

enum class Glyphs { kAscii, kUnicode };
// "━━━━━━╸·····" `width` columns wide; `fraction` is cut to 0…1.
std::string Bar(double fraction, std::size_t width, Glyphs glyphs);

enum class Align { kLeft, kRight };

// Rows under headings, aligned in columns two spaces apart.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns);

  // One cell a column; cells are made printable.
  void AddRow(std::vector<std::string> cells);
  // Ends in a newline. With `max_width`, the widest left-aligned columns give way until the table
  // fits or every one is down to kNarrowestColumn.
  std::string Render(std::optional<std::size_t> max_width = std::nullopt) const;

  static constexpr std::size_t kNarrowestColumn = 8;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fallow::cli
