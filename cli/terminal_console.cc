#include "cli/terminal_console.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "platform/terminal.h"

namespace fallow::cli {

namespace {

// What the first locale variable that is set says, as in setlocale.
Glyphs GlyphsOfLocale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    const bool is_unicode = locale.find("UTF-8") != std::string_view::npos ||
                            locale.find("utf8") != std::string_view::npos;
    return is_unicode ? Glyphs::kUnicode : Glyphs::kAscii;
  }
  return Glyphs::kAscii;
}

void Write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

}  // namespace

TerminalConsole::TerminalConsole()
    : output_columns_(TerminalColumns(StandardStream::kOutput)),
      error_columns_(TerminalColumns(StandardStream::kError)),
      glyphs_(GlyphsOfLocale()) {}

TerminalConsole::~TerminalConsole() {
  ClearStatus();
}

void TerminalConsole::ClearStatus() {
  if (!status_is_shown_) return;
  Write(stderr, "\r\x1b[K");
  status_is_shown_ = false;
}

void TerminalConsole::Print(std::string_view text) {
  ClearStatus();
  Write(stdout, text);
}

void TerminalConsole::Note(std::string_view line) {
  ClearStatus();
  Write(stderr, line);
  Write(stderr, "\n");
}

void TerminalConsole::ShowStatus(std::string_view line) {
  Write(stderr, "\r");
  Write(stderr, line);
  Write(stderr, "\x1b[K");
  status_is_shown_ = true;
}

std::size_t TerminalConsole::status_width() const {
  // Asked anew: windows change. The last column stays free, where some terminals wrap.
  const auto columns = TerminalColumns(StandardStream::kError);
  return columns.has_value() && *columns > 1 ? *columns - 1 : 79;
}

}  // namespace fallow::cli
