// The console of a real process.
#pragma once

#include "cli/console.h"

namespace fallow::cli {

class TerminalConsole : public Console {
 public:
  TerminalConsole();
  ~TerminalConsole() override;
  TerminalConsole(const TerminalConsole&) = delete;
  TerminalConsole& operator=(const TerminalConsole&) = delete;

  void Print(std::string_view text) override;
  void Note(std::string_view line) override;
  void ShowStatus(std::string_view line) override;
  bool has_status_line() const override { return error_columns_.has_value(); }
  std::size_t status_width() const override;
  std::optional<std::size_t> table_width() const override { return output_columns_; }
  Glyphs glyphs() const override { return glyphs_; }

 private:
  void ClearStatus();

  std::optional<std::size_t> output_columns_, error_columns_;
  Glyphs glyphs_;
  bool status_is_shown_ = false;
};

}  // namespace fallow::cli
