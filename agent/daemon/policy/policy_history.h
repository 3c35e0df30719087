// The explain log, read back: what was decided at some time and since, and whether it still holds.
//
// Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/policy_entry.h"
#include "agent/daemon/policy/policy_log.h"
#include "base/result.h"

namespace fallow {

// A time at which no agent ran, as far as the log tells.
struct Absence {
  // How the one before went, and what `since` is.
  enum class Cause : std::uint8_t {
    kEnded,    // in good order, then
    kKilled,   // or crashed: within kSignPatience after its last sign of life, then
    kUnknown,  // likewise, or with the whole machine, or it was of a version that did not write its
               // end: at any time after its last line, then
  };
  Cause cause = Cause::kEnded;
  WallTime since;
  std::chrono::minutes since_offset{};  // local time's, as LocalOffset
  // When the next began; none: the log tells of no other. Before `since` if the wall clock was set
  // back meanwhile: then nothing tells how long it took.
  std::optional<Moment> until;
  std::size_t next_entry = 0;  // the place of the first entry after it
  bool clock_set_back() const { return until && until->wall < since; }
  bool operator==(const Absence&) const = default;
};
std::string_view AbsenceCauseName(Absence::Cause cause);  // "ended", "killed", "unknown"
// An agent gives a sign of life at each look: so much later it gives the next, or never.
inline constexpr std::chrono::milliseconds kSignPatience{10'000};

// The wall clock was set back while an agent ran: the times of what follows were told before.
struct ClockStep {
  Moment moment;               // when it was noticed
  WallTime was;                // what the clock would tell else
  std::size_t next_entry = 0;  // the places of the first of each after it
  std::size_t next_absence = 0;
};

// What a log shows, in the order in which it was: one of them.
struct LogLine {
  const PolicyEntry* entry = nullptr;
  const Absence* absence = nullptr;
  const ClockStep* clock = nullptr;
  WallTime time() const {
    if (entry != nullptr) return entry->moment.wall;
    return absence != nullptr ? absence->since : clock->moment.wall;
  }
};

class PolicyHistory {
 public:
  // Lines in the order they were written; those that cannot be read are counted and left out.
  static PolicyHistory Parse(std::string_view text);
  static Result<PolicyHistory> Read(PolicyLogFiles& files);  // the old file, then the current one

  std::span<const PolicyEntry> entries() const { return entries_; }
  std::size_t unreadable_lines() const { return unreadable_lines_; }

  // In their order.
  std::span<const Absence> absences() const { return absences_; }

  // Nobody runs now: the last agent ended without a word, if it wrote none. `last_sign`: its last
  // sign of life outside the log.
  void NobodyRuns(std::optional<WallTime> last_sign);

  // The entry in force at `time`: the last that was written at or before it; null if all are later.
  // While no agent ran it is not in force any more.
  const PolicyEntry* At(WallTime time) const;
  // The absence at `time`, up to the next agent's first decision; null if an agent ran.
  const Absence* AbsenceAt(WallTime time) const;
  // All of it, and from the first line on that is of `time` or later, or of an absence that lasts
  // beyond it.
  std::vector<LogLine> Lines() const;
  std::vector<LogLine> Since(WallTime time) const;
  // When this entry's action and first reason began; no agent was absent since. `entry`: one of
  // entries(). Of the last entry; none without entries.
  Moment StateSince(const PolicyEntry& entry) const;
  std::optional<Moment> CurrentSince() const;

 private:
  class Reader;

  // What the log says last of an agent that did not write its end; none: it says of none.
  std::optional<Absence> Loss(std::optional<WallTime> last_sign) const;

  std::vector<PolicyEntry> entries_;
  std::vector<Absence> absences_;
  std::vector<ClockStep> clock_steps_;
  std::optional<Moment> alive_at_;  // of the agent that runs at the end of the log, as it says last
  std::size_t unreadable_lines_ = 0;
};

// Decides every entry again, each from its own inputs.
struct ReplayReport {
  std::size_t replayed = 0;
  std::size_t other_version = 0;  // written by another version of the policy, not replayed
  std::size_t unreadable_lines = 0;
  std::size_t different = 0;
  std::vector<std::string> differences;  // the first 10, in words
  bool ok() const { return different == 0; }
};
ReplayReport ReplayLog(const PolicyHistory& history);
std::string ReplayText(const ReplayReport& report);

// `fallow-agent why`: what is decided, since when, all reasons and what would have to change.
// `since`: when this state began, if that is known. `held_up`: what keeps an agent that may work
// from working, "idle: waiting for work"; empty if nothing does.
std::string WhyText(const PolicyEntry& entry, std::optional<Moment> since, const Moment& now,
                    std::string_view held_up = "");
// The same of a time that was: what was decided last at `time`, which local time is `offset` ahead.
std::string WhyThenText(const PolicyEntry& entry, const Moment& since, WallTime time,
                        std::chrono::minutes offset);
// The same of a time at which no agent ran. `last`: what was decided last, if anything was.
std::string AbsenceText(const Absence& absence, const PolicyEntry* last);
// In a line, without its beginning.
std::string AbsenceSummary(const Absence& absence);
std::string ClockStepSummary(const ClockStep& step);
// `fallow-agent log`: one line a transition, an absence or a step of the clock, in local times;
// "[new settings]" where they changed since the line before.
std::string LogText(std::span<const LogLine> lines);

// A single entry for another process, which reads it with Parse.
std::string EntryText(const PolicyEntry& entry);

}  // namespace fallow
