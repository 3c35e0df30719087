#include "cli/text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <utility>

#include "base/check.h"

namespace fallow::cli {

namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // bytes; 0: malformed
};

// The code point that `text`, not empty, starts with (RFC 3629: no overlong forms, no surrogates).
CodePoint DecodeFirst(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {};
  char32_t value = lead & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    return {};
  return {value, length};
}

// The first code point that is not printable ends a terminal's line or starts a command to it.
bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);  // bidirectional overrides
}

struct Range {
  char32_t first, last;
};

template <std::size_t N>
bool IsIn(const std::array<Range, N>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

// Unicode's combining marks and joiners that names and answers plausibly hold.
constexpr std::array<Range, 12> kZeroWidth = {{{0x0300, 0x036F},
                                               {0x0483, 0x0489},
                                               {0x0591, 0x05BD},
                                               {0x064B, 0x065F},
                                               {0x0900, 0x0902},
                                               {0x0E34, 0x0E3A},
                                               {0x1AB0, 0x1AFF},
                                               {0x1DC0, 0x1DFF},
                                               {0x200B, 0x200F},
                                               {0x20D0, 0x20FF},
                                               {0xFE00, 0xFE0F},
                                               {0xFE20, 0xFE2F}}};
// East Asian Wide and Fullwidth blocks (UAX 11), emoji among them.
constexpr std::array<Range, 11> kTwoColumns = {{{0x1100, 0x115F},
                                                {0x2E80, 0x303E},
                                                {0x3041, 0x33FF},
                                                {0x3400, 0x4DBF},
                                                {0x4E00, 0x9FFF},
                                                {0xA000, 0xA4CF},
                                                {0xAC00, 0xD7A3},
                                                {0xF900, 0xFAFF},
                                                {0xFF00, 0xFF60},
                                                {0x1F300, 0x1FAFF},
                                                {0x20000, 0x3FFFD}}};

std::size_t WidthOf(char32_t c) {
  return IsIn(kZeroWidth, c) ? 0 : IsIn(kTwoColumns, c) ? 2 : 1;
}

std::string Scaled(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"", "k", "M", "G", "T"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  const int decimals = prefix == 0 || value >= 99.95 ? 0 : 1;
  const std::string suffix = fmt::format("{}{}", kPrefixes[prefix], unit);
  return suffix.empty() ? fmt::format("{:.{}f}", value, decimals)
                        : fmt::format("{:.{}f} {}", value, decimals, suffix);
}

std::string Padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, DisplayWidth(text)), ' ');
  return align == Align::kRight ? space + text : text + space;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = DecodeFirst(text);
    const std::size_t length = std::max<std::size_t>(point.length, 1);
    if (point.length == 0 || IsControl(point.value)) {
      result += '?';
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return result;
}

std::size_t DisplayWidth(std::string_view printable) {
  std::size_t width = 0;
  while (!printable.empty()) {
    const CodePoint point = DecodeFirst(printable);
    width += point.length == 0 ? 1 : WidthOf(point.value);
    printable.remove_prefix(std::max<std::size_t>(point.length, 1));
  }
  return width;
}

std::string Shorten(std::string_view printable, std::size_t width) {
  if (DisplayWidth(printable) <= width) return std::string(printable);
  if (width == 0) return "";
  std::size_t used = 0, bytes = 0;
  while (bytes < printable.size()) {
    const CodePoint point = DecodeFirst(printable.substr(bytes));
    const std::size_t columns = point.length == 0 ? 1 : WidthOf(point.value);
    if (used + columns > width - 1) break;
    used += columns;
    bytes += std::max<std::size_t>(point.length, 1);
  }
  return std::string(printable.substr(0, bytes)) + "…";
}

std::string BytesText(std::uint64_t bytes) {
  return Scaled(static_cast<double>(bytes), "B");
}

std::string ShortCountText(std::uint64_t count) {
  return Scaled(static_cast<double>(count), "");
}

std::string CountText(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string DurationText(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) seconds = 0;
  if (seconds < 9.95 && seconds != std::floor(seconds)) return fmt::format("{:.1f} s", seconds);
  constexpr double kLongest_s = 1e15;
  const auto whole = static_cast<std::uint64_t>(std::llround(std::min(seconds, kLongest_s)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

std::string MillisecondsText(double ms) {
  if (!std::isfinite(ms) || ms < 0) ms = 0;
  if (ms < 9.95) return fmt::format("{:.1f} ms", ms);
  if (ms < 999.5) return fmt::format("{:.0f} ms", ms);
  return DurationText(ms / 1000);
}

std::string RateText(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0) per_second = 0;
  if (per_second < 99.95) return fmt::format("{:.1f}", per_second);
  constexpr double kHighest = 1e15;
  return CountText(static_cast<std::uint64_t>(std::llround(std::min(per_second, kHighest))));
}

std::string TimeText(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  const std::tm* local = std::localtime(&time);
  return local == nullptr ? std::to_string(unix_seconds)
                          : fmt::format("{:%Y-%m-%d %H:%M:%S}", *local);
}

std::string Bar(double fraction, std::size_t width, Glyphs glyphs) {
  fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  const auto halves = static_cast<std::size_t>(fraction * static_cast<double>(width) * 2);
  std::string bar;
  for (std::size_t column = 0; column < width; ++column) {
    const std::size_t filled = halves - std::min(halves, column * 2);
    if (glyphs == Glyphs::kUnicode) {
      bar += filled >= 2 ? "━" : filled == 1 ? "╸" : "·";
    } else {
      bar += filled >= 2 ? "#" : filled == 1 ? "-" : ".";
    }
  }
  return bar;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  FALLOW_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render(std::optional<std::size_t> max_width) const {
  constexpr std::size_t kGap = 2;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = DisplayWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  std::size_t total = kGap * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;

  while (max_width.has_value() && total > *max_width) {
    std::size_t widest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].align == Align::kLeft && widths[i] > kNarrowestColumn &&
          (widest == columns_.size() || widths[i] > widths[widest])) {
        widest = i;
      }
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }

  std::string text;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line.append(kGap, ' ');
      line += Padded(Shorten(cell_of(i), widths[i]), widths[i], columns_[i].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return row[i]; });
  return text;
}

}  // namespace fallow::cli
