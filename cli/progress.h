// Shows how a job comes on: one line that renews itself in a terminal, a line now and then in a
// log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "cli/console.h"
#include "cli/records.h"

namespace fallow::cli {

// "━━━━━━━━╸·····  63%  126 of 200  2 failed  1,240 tokens/s  1 device  2.4 s left", at most
// `width` columns.
std::string ProgressLine(const JobRecord& job, std::size_t width, Glyphs glyphs);
// The same without bar, for logs: "126 of 200 done, 2 failed, 1,240 tokens/s, 1 device, 2.4 s
// left".
std::string ProgressText(const JobRecord& job);

class ProgressView {
 public:
  // `console` must outlive the view.
  explicit ProgressView(Console& console) : console_(console) {}
  void Show(const JobRecord& job, SteadyTime now);
  // Something else to say meanwhile: "the coordinator does not answer, trying again".
  void ShowTrouble(std::string_view text, SteadyTime now);

 private:
  static constexpr std::chrono::seconds kLogPeriod{10};

  Console& console_;
  std::string last_state_;
  std::uint64_t last_tenth_ = 0;
  std::optional<SteadyTime> last_line_at_;
};

}  // namespace fallow::cli
