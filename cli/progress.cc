#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace fallow::cli {

namespace {

// "validating", "finalizing" and the like say more than a bar that does not move.
bool HasStarted(const JobRecord& job) {
  return job.total > 0 && job.state != "validating";
}

std::uint64_t Settled(const JobRecord& job) {
  return job.completed + job.failed;
}

double Fraction(const JobRecord& job) {
  return job.total == 0 ? 0 : static_cast<double>(Settled(job)) / static_cast<double>(job.total);
}

std::vector<std::string> Parts(const JobRecord& job) {
  std::vector<std::string> parts;
  if (job.failed > 0) parts.push_back(fmt::format("{} failed", CountText(job.failed)));
  if (job.state != "in_progress") {
    parts.push_back(Printable(job.state));
    return parts;
  }
  parts.push_back(fmt::format("{} tokens/s", RateText(job.tokens_per_second)));
  parts.push_back(job.devices == 0   ? std::string("waiting for a device")
                  : job.devices == 1 ? std::string("1 device")
                                     : fmt::format("{} devices", CountText(job.devices)));
  if (job.seconds_left.has_value()) parts.push_back(DurationText(*job.seconds_left) + " left");
  return parts;
}

}  // namespace

std::string ProgressText(const JobRecord& job) {
  if (!HasStarted(job)) return Printable(job.state);
  std::string text = fmt::format("{} of {} done", CountText(job.completed), CountText(job.total));
  for (const std::string& part : Parts(job)) text += ", " + part;
  return text;
}

std::string ProgressLine(const JobRecord& job, std::size_t width, Glyphs glyphs) {
  if (!HasStarted(job)) return Shorten(Printable(job.state), width);
  std::string facts = fmt::format("{:3.0f}%  {} of {}", 100 * std::clamp(Fraction(job), 0.0, 1.0),
                                  CountText(job.completed), CountText(job.total));
  for (const std::string& part : Parts(job)) facts += "  " + part;
  constexpr std::size_t kWidestBar = 32, kNarrowestBar = 8, kGap = 2;
  const std::size_t taken = DisplayWidth(facts) + kGap;
  if (width < taken + kNarrowestBar) return Shorten(facts, width);
  return Bar(Fraction(job), std::min(kWidestBar, width - taken), glyphs) + std::string(kGap, ' ') +
         facts;
}

void ProgressView::Show(const JobRecord& job, SteadyTime now) {
  if (console_.has_status_line()) {
    console_.ShowStatus(ProgressLine(job, console_.status_width(), console_.glyphs()));
    return;
  }
  const auto tenth = static_cast<std::uint64_t>(Fraction(job) * 10);
  const bool is_news = job.state != last_state_ || tenth != last_tenth_;
  if (!is_news && last_line_at_.has_value() && now - *last_line_at_ < kLogPeriod) return;
  last_state_ = job.state;
  last_tenth_ = tenth;
  last_line_at_ = now;
  console_.Note(ProgressText(job));
}

void ProgressView::ShowTrouble(std::string_view text, SteadyTime now) {
  if (console_.has_status_line()) {
    console_.ShowStatus(Shorten(text, console_.status_width()));
    return;
  }
  if (last_line_at_.has_value() && now - *last_line_at_ < kLogPeriod && last_state_ == "trouble")
    return;
  last_state_ = "trouble";
  last_line_at_ = now;
  console_.Note(text);
}

}  // namespace fallow::cli
