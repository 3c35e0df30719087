// The policy's decisions for people: `fallow-agent why` and `fallow-agent log`.
#include <fmt/format.h>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_history.h"

namespace fallow {
namespace {

std::string State(const Decision& decision) {
  switch (decision.action) {
    case Action::kRun:
      return "works";
    case Action::kReduce:
      return fmt::format("works {:.0f} % of the time", decision.share * 100);
    case Action::kPause:
      return "waits";
  }
  return "";
}

std::chrono::milliseconds Ago(WallTime then, WallTime now) {
  return std::max(now - then, std::chrono::milliseconds(0));
}

}  // namespace

std::string WhyText(const PolicyEntry& entry, std::optional<Moment> since, const Moment& now) {
  const Decision& decision = entry.decision;
  std::string text = fmt::format("{}: {}\n", State(decision), decision.text);
  if (since) {
    text += fmt::format("since {} ({} ago)\n", LocalDateTime(since->wall, LocalOffset(*since)),
                        ShortDuration(Ago(since->wall, now.wall)));
  }
  if (!decision.reasons.empty()) text += "\n";
  for (const ReasonText& reason : decision.reasons) {
    text += fmt::format("{:<18} {}\n", ReasonName(reason.reason), reason.text);
    if (!reason.way_out.empty()) text += fmt::format("{:<18} until: {}\n", "", reason.way_out);
  }
  if (decision.action == Action::kPause) {
    text +=
        fmt::format("\nthe model {}\n", decision.keep_memory ? "may stay in memory meanwhile"
                                                             : "does not stay in memory meanwhile");
  }
  for (const std::string& notice : entry.signals.notices) text += fmt::format("note: {}\n", notice);
  return text;
}

std::string LogText(std::span<const PolicyEntry> entries) {
  std::string text;
  for (const PolicyEntry& entry : entries) {
    const auto& reasons = entry.decision.reasons;
    text += fmt::format("{}  {:<7} {:<18} {}\n",
                        LocalDateTime(entry.moment.wall, LocalOffset(entry.moment)),
                        ActionName(entry.decision.action),
                        reasons.empty() ? "" : ReasonName(reasons[0].reason), entry.decision.text);
  }
  return text;
}

std::string EntryText(const PolicyEntry& entry) {
  return SettingsLine(entry.settings) + EntryLine(entry);
}

}  // namespace fallow
