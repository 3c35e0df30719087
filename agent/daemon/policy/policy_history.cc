#include "agent/daemon/policy/policy_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "agent/daemon/policy/local_time.h"
#include "base/check.h"

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
  const std::string time = LocalDateTime(entry.moment.wall, LocalOffset(entry.moment));
  if (shown(entry.decision) == shown(again)) {
    return fmt::format("{}: {}, both times, but the reasons, GPUs or memory kept differ", time,
                       shown(again));
  }
  return fmt::format("{}: recorded {}; decided again {}", time, shown(entry.decision),
                     shown(again));
}

}  // namespace

std::string_view AbsenceCauseName(Absence::Cause cause) {
  switch (cause) {
    case Absence::Cause::kEnded:
      return "ended";
    case Absence::Cause::kKilled:
      return "killed";
    case Absence::Cause::kUnknown:
      return "unknown";
  }
  FALLOW_UNREACHABLE();
}

// Takes the lines one by one.
class PolicyHistory::Reader {
 public:
  void Take(std::string_view line) {
    const LineKind kind = KindOf(line);
    if (kind.is_settings)
      TakeSettings(line, kind);
    else if (kind.is_mark)
      TakeMark(line);
    else
      TakeEntry(line, kind);
  }
  PolicyHistory Finish() { return std::move(history_); }

 private:
  void TakeSettings(std::string_view line, const LineKind& kind) {
    if (auto read = ParseSettingsLine(line); read)
      settings_[kind.settings_digest] = *std::move(read);
    else
      ++history_.unreadable_lines_;
  }

  void TakeMark(std::string_view line) {
    const auto mark = ParseRunMark(line);
    if (!mark) {
      ++history_.unreadable_lines_;
    } else if (mark->kind == RunMark::Kind::kBegan) {
      Begin(mark->moment, mark->last_sign);
      marked_ = true;
    } else if (mark->kind == RunMark::Kind::kClockSetBack) {
      history_.alive_at_ = mark->moment;
      history_.clock_steps_.push_back({.moment = mark->moment,
                                       .was = *mark->clock_was,
                                       .next_entry = history_.entries_.size(),
                                       .next_absence = history_.absences_.size()});
    } else {
      history_.alive_at_.reset();
      history_.absences_.push_back({.cause = Absence::Cause::kEnded,
                                    .since = mark->moment.wall,
                                    .since_offset = LocalOffset(mark->moment),
                                    .until = std::nullopt,
                                    .next_entry = history_.entries_.size()});
    }
  }

  void TakeEntry(std::string_view line, const LineKind& kind) {
    const auto known = settings_.find(kind.settings_digest);
    auto entry = kind.is_entry && known != settings_.end()
                     ? ParseEntry(line, known->second)
                     : Fail(ErrorCode::kDataLoss, "no entry, or its settings are lost");
    if (!entry) {
      ++history_.unreadable_lines_;
      return;
    }
    // Its agent remembers nothing: it had just begun, also where its version did not write so.
    const bool said_so = std::exchange(marked_, false);
    if (entry->before == PolicyMemory{} && !said_so) Begin(entry->moment, std::nullopt);
    history_.alive_at_ = entry->moment;
    history_.entries_.push_back(*std::move(entry));
  }

  void Begin(const Moment& moment, std::optional<WallTime> last_sign) {
    auto& absences = history_.absences_;
    if (auto loss = history_.Loss(last_sign)) absences.push_back(*loss);
    history_.alive_at_ = moment;
    if (!absences.empty() && !absences.back().until) absences.back().until = moment;
  }

  PolicyHistory history_;
  std::map<std::string, Settings> settings_;
  bool marked_ = false;  // the agent of the next entry said that it began
};

PolicyHistory PolicyHistory::Parse(std::string_view text) {
  Reader reader;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (!line.empty()) reader.Take(line);
  }
  return reader.Finish();
}

std::optional<Absence> PolicyHistory::Loss(std::optional<WallTime> last_sign) const {
  if (!alive_at_) return std::nullopt;
  Absence absence{.cause = Absence::Cause::kUnknown,
                  .since = alive_at_->wall,
                  .since_offset = LocalOffset(*alive_at_),
                  .until = std::nullopt,
                  .next_entry = entries_.size()};
  // An older one is of an agent before.
  if (last_sign && *last_sign >= alive_at_->wall - kSignPatience) {
    absence.cause = Absence::Cause::kKilled;
    absence.since = std::max(absence.since, *last_sign);
  }
  return absence;
}

void PolicyHistory::NobodyRuns(std::optional<WallTime> last_sign) {
  if (auto loss = Loss(last_sign)) absences_.push_back(*loss);
  alive_at_.reset();
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

const Absence* PolicyHistory::AbsenceAt(WallTime time) const {
  const PolicyEntry* entry = At(time);
  const std::size_t decided =
      entry == nullptr ? 0 : static_cast<std::size_t>(entry - entries_.data()) + 1;
  const auto at =
      std::ranges::find_if(absences_.rbegin(), absences_.rend(), [&](const Absence& absence) {
        return absence.next_entry >= decided && absence.since <= time;
      });
  return at == absences_.rend() ? nullptr : &*at;
}

std::vector<LogLine> PolicyHistory::Lines() const {
  std::vector<LogLine> lines;
  auto step = clock_steps_.begin();
  const auto add_steps = [&](std::size_t entry, std::size_t absence) {
    for (; step != clock_steps_.end() && step->next_entry == entry && step->next_absence == absence;
         ++step)
      lines.push_back({.clock = &*step});
  };
  std::size_t absence = 0;
  for (std::size_t entry = 0; entry <= entries_.size(); ++entry) {
    add_steps(entry, absence);
    for (; absence < absences_.size() && absences_[absence].next_entry == entry;) {
      lines.push_back({.absence = &absences_[absence]});
      add_steps(entry, ++absence);
    }
    if (entry < entries_.size()) lines.push_back({.entry = &entries_[entry]});
  }
  return lines;
}

std::vector<LogLine> PolicyHistory::Since(WallTime time) const {
  std::vector<LogLine> lines = Lines();
  const auto first = std::ranges::find_if(lines, [&](const LogLine& line) {
    if (line.time() >= time) return true;
    return line.absence != nullptr && (!line.absence->until || line.absence->until->wall > time);
  });
  lines.erase(lines.begin(), first);
  return lines;
}

Moment PolicyHistory::StateSince(const PolicyEntry& entry) const {
  Moment since = entry.moment;
  const auto last = static_cast<std::size_t>(&entry - entries_.data());
  FALLOW_CHECK(last < entries_.size());
  for (std::size_t i = last + 1; i > 0; --i) {
    if (!IsSameState(entries_[i - 1], entry)) break;
    since = entries_[i - 1].moment;
    const bool began = std::ranges::any_of(
        absences_, [&](const Absence& absence) { return absence.next_entry == i - 1; });
    if (began) break;
  }
  return since;
}

std::optional<Moment> PolicyHistory::CurrentSince() const {
  if (entries_.empty()) return std::nullopt;
  return StateSince(entries_.back());
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
  const std::string found =
      report.ok() ? "all are the same" : fmt::format("{} differ", report.different);
  std::string text =
      report.replayed == 0
          ? "no decision in the log can be made again\n"
          : fmt::format("{} decisions made again from the log: {}\n", report.replayed, found);
  if (report.other_version > 0)
    text +=
        fmt::format("{} of another version of the policy were left out\n", report.other_version);
  if (report.unreadable_lines > 0)
    text += fmt::format("{} lines could not be read\n", report.unreadable_lines);
  for (const std::string& difference : report.differences) text += "  " + difference + "\n";
  return text;
}

}  // namespace fallow
