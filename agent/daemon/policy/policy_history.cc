#include "agent/daemon/policy/policy_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/daemon/policy/local_time.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxDifferences = 10;

std::optional<Reason> FirstReason(const PolicyEntry& entry) {
  const auto& reasons = entry.decision.reasons;
  return reasons.empty() ? std::nullopt : std::optional(reasons[0].reason);
}

bool IsSameState(const PolicyEntry& a, const PolicyEntry& b) {
  return a.decision.action == b.decision.action && FirstReason(a) == FirstReason(b);
}

// What differs between what was decided and what would be.
std::string Difference(const PolicyEntry& entry, const Decision& again) {
  const auto shown = [](const Decision& decision) {
    return fmt::format("{} at {:.3f} ({})", ActionName(decision.action), decision.share,
                       decision.text);
  };
  return fmt::format("{}: recorded {}; decided again {}",
                     LocalDateTime(entry.moment.wall, LocalOffset(entry.moment)),
                     shown(entry.decision), shown(again));
}

}  // namespace

PolicyHistory PolicyHistory::Parse(std::string_view text) {
  PolicyHistory history;
  std::map<std::string, Settings> settings;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const LineKind kind = KindOf(line);
    if (kind.is_settings) {
      if (auto read = ParseSettingsLine(line); read)
        settings[kind.settings_digest] = *std::move(read);
      else
        ++history.unreadable_lines_;
      continue;
    }
    const auto known = settings.find(kind.settings_digest);
    auto entry = kind.is_entry && known != settings.end()
                     ? ParseEntry(line, known->second)
                     : Fail(ErrorCode::kDataLoss, "no entry, or its settings are lost");
    if (entry)
      history.entries_.push_back(*std::move(entry));
    else
      ++history.unreadable_lines_;
  }
  return history;
}

Result<PolicyHistory> PolicyHistory::Read(PolicyLogFiles& files) {
  FALLOW_ASSIGN_OR_RETURN(const std::string text, ReadPolicyLog(files));
  return Parse(text);
}

const PolicyEntry* PolicyHistory::At(WallTime time) const {
  // From the end: after the wall clock stepped back, the entry written last is the one in force.
  const auto at =
      std::ranges::find_if(entries_.rbegin(), entries_.rend(),
                           [&](const PolicyEntry& entry) { return entry.moment.wall <= time; });
  return at == entries_.rend() ? nullptr : &*at;
}

std::span<const PolicyEntry> PolicyHistory::Since(WallTime time) const {
  const auto at = std::ranges::find_if(
      entries_, [&](const PolicyEntry& entry) { return entry.moment.wall >= time; });
  return std::span(entries_).subspan(static_cast<std::size_t>(at - entries_.begin()));
}

std::optional<Moment> PolicyHistory::CurrentSince() const {
  std::optional<Moment> since;
  for (std::size_t i = entries_.size(); i > 0; --i) {
    if (!IsSameState(entries_[i - 1], entries_.back())) break;
    since = entries_[i - 1].moment;
  }
  return since;
}

ReplayReport ReplayLog(const PolicyHistory& history) {
  ReplayReport report{.unreadable_lines = history.unreadable_lines()};
  for (const PolicyEntry& entry : history.entries()) {
    if (entry.version != kPolicyVersion) {
      ++report.other_version;
      continue;
    }
    ++report.replayed;
    PolicyMemory memory = entry.before;
    const Decision again = Decide(entry.settings, entry.signals, entry.moment, memory);
    if (again == entry.decision) continue;
    ++report.different;
    if (report.differences.size() < kMaxDifferences)
      report.differences.push_back(Difference(entry, again));
  }
  return report;
}

std::string ReplayText(const ReplayReport& report) {
  std::string text =
      fmt::format("{} decisions made again from the log: {}\n", report.replayed,
                  report.ok() ? "all are the same" : fmt::format("{} differ", report.different));
  if (report.other_version > 0)
    text +=
        fmt::format("{} of another version of the policy were left out\n", report.other_version);
  if (report.unreadable_lines > 0)
    text += fmt::format("{} lines could not be read\n", report.unreadable_lines);
  for (const std::string& difference : report.differences) text += "  " + difference + "\n";
  return text;
}

}  // namespace fallow
