// Where a command's words go: results to standard output, everything else to standard error.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "cli/text.h"

namespace fallow::cli {

class Console {
 public:
  virtual ~Console() = default;
  virtual void Print(std::string_view text) = 0;  // the result, as it is
  virtual void Note(std::string_view line) = 0;   // a line for people; ends a status line
  // A line that the next one replaces. Only where has_status_line().
  virtual void ShowStatus(std::string_view line) = 0;
  virtual bool has_status_line() const = 0;      // standard error is a terminal
  virtual std::size_t status_width() const = 0;  // its columns
  virtual std::optional<std::size_t> table_width()
      const = 0;  // columns of standard output if it is a terminal
  virtual Glyphs glyphs() const = 0;
};

}  // namespace fallow::cli
