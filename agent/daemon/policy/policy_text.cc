// The policy's decisions for people: `fallow-agent why` and `fallow-agent log`. Root may read what
// an agent under another user wrote, so nothing of it may steer a terminal.
#include <fmt/format.h>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_history.h"
#include "base/log_line.h"

namespace fallow {
namespace {

std::string State(const Decision& decision) {
  switch (decision.action) {
    case Action::kRun:
      return "works";
    case Action::kReduce:
      return "works in part";  // the decision's text says which
    case Action::kPause:
      return "waits";
  }
  return "";
}

constexpr std::string_view kBySetBackClock = ", by a clock that was set back meanwhile";

// Of an absence whose beginning is known.
std::string_view HowItWent(Absence::Cause cause) {
  return cause == Absence::Cause::kEnded ? "was ended" : "was killed, or crashed";
}

std::chrono::milliseconds Ago(WallTime then, WallTime now) {
  return std::max(now - then, std::chrono::milliseconds(0));
}

// `when`: "ago" or "before".
std::string Why(const PolicyEntry& entry, std::optional<Moment> since, WallTime time,
                std::string_view when, std::string_view held_up = "") {
  const Decision& decision = entry.decision;
  std::string text = fmt::format("{}: {}\n", held_up.empty() ? State(decision) : "may work",
                                 OneLine(decision.text));
  if (!held_up.empty()) text += fmt::format("but is {}\n", OneLine(held_up));
  if (since) {
    text += fmt::format("since {} ({} {})\n", LocalDateTime(since->wall, LocalOffset(*since)),
                        ShortDuration(Ago(since->wall, time)), when);
  }
  if (!decision.reasons.empty()) text += "\n";
  for (const ReasonText& reason : decision.reasons) {
    text += fmt::format("{:<18} {}\n", ReasonName(reason.reason), OneLine(reason.text));
    if (!reason.way_out.empty())
      text += fmt::format("{:<18} until: {}\n", "", OneLine(reason.way_out));
  }
  if (decision.action == Action::kPause) {
    text +=
        fmt::format("\nthe model {}\n", decision.keep_memory ? "may stay in memory meanwhile"
                                                             : "does not stay in memory meanwhile");
  }
  for (const std::string& notice : entry.signals.notices)
    text += fmt::format("note: {}\n", OneLine(notice));
  return text;
}

}  // namespace

std::string WhyText(const PolicyEntry& entry, std::optional<Moment> since, const Moment& now,
                    std::string_view held_up) {
  return Why(entry, since, now.wall, "ago", held_up);
}

std::string WhyThenText(const PolicyEntry& entry, const Moment& since, WallTime time,
                        std::chrono::minutes offset) {
  return fmt::format("at {}\n{}", LocalDateTime(time, offset), Why(entry, since, time, "before"));
}

std::string AbsenceSummary(const Absence& absence) {
  std::string until;
  if (absence.until) until = LocalDateTime(absence.until->wall, LocalOffset(*absence.until));
  if (absence.clock_set_back()) until += kBySetBackClock;
  if (absence.cause == Absence::Cause::kUnknown) {
    return "the agent went some time after this, its last line" +
           (until.empty() ? "; none has run since" : "; the next began " + until);
  }
  return fmt::format("{}; the last {}",
                     until.empty() ? "no agent has run since" : "no agent ran until " + until,
                     HowItWent(absence.cause));
}

std::string AbsenceText(const Absence& absence, const PolicyEntry* last) {
  const std::string since = LocalDateTime(absence.since, absence.since_offset);
  std::string until =
      absence.until ? LocalDateTime(absence.until->wall, LocalOffset(*absence.until)) : "now";
  if (absence.clock_set_back()) until += kBySetBackClock;
  if (absence.cause != Absence::Cause::kUnknown) {
    return fmt::format("not running: no agent ran between {} and {}\nthe last {}\n", since, until,
                       HowItWent(absence.cause));
  }
  std::string text = fmt::format(
      "perhaps not running: the agent went some time between {} and {}, and nothing tells when\nit "
      "was killed, or the machine went down, or it was too old to write its end\n",
      since, until);
  if (last != nullptr)
    text += fmt::format("\nits last decision: {}: {}\n", State(last->decision),
                        OneLine(last->decision.text));
  return text;
}

std::string ClockStepSummary(const ClockStep& step) {
  return fmt::format("the clock was set back by {}, from {}",
                     ShortDuration(Ago(step.moment.wall, step.was)),
                     LocalDateTime(step.was, LocalOffset(step.moment)));
}

std::string LogText(std::span<const LogLine> lines) {
  constexpr std::string_view kLine = "{}  {:<7} {:<18} {}\n";
  std::string text;
  const PolicyEntry* before = nullptr;
  for (const LogLine& line : lines) {
    if (line.absence != nullptr) {
      text += fmt::format(kLine, LocalDateTime(line.absence->since, line.absence->since_offset),
                          "off", "", AbsenceSummary(*line.absence));
      continue;
    }
    if (line.clock != nullptr) {
      text += fmt::format(kLine, LocalDateTime(line.time(), LocalOffset(line.clock->moment)),
                          "clock", "", ClockStepSummary(*line.clock));
      continue;
    }
    const PolicyEntry& entry = *line.entry;
    const auto& reasons = entry.decision.reasons;
    const bool is_changed = before != nullptr && before->settings != entry.settings;
    text += fmt::format(kLine, LocalDateTime(entry.moment.wall, LocalOffset(entry.moment)),
                        ActionName(entry.decision.action),
                        reasons.empty() ? "" : ReasonName(reasons[0].reason),
                        OneLine(entry.decision.text) + (is_changed ? " [new settings]" : ""));
    before = &entry;
  }
  return text;
}

std::string EntryText(const PolicyEntry& entry) {
  return SettingsLine(entry.settings) + EntryLine(entry);
}

}  // namespace fallow
