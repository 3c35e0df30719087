// The explain log, read back: what was decided at some time and since, and whether it still holds.
//
// Plain values.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/daemon/policy/policy_entry.h"
#include "agent/daemon/policy/policy_log.h"
#include "base/result.h"

namespace fallow {

class PolicyHistory {
 public:
  // Lines in the order they were written; those that cannot be read are counted and left out.
  static PolicyHistory Parse(std::string_view text);
  static Result<PolicyHistory> Read(PolicyLogFiles& files);  // the old file, then the current one

  std::span<const PolicyEntry> entries() const { return entries_; }
  std::size_t unreadable_lines() const { return unreadable_lines_; }

  // The entry in force at `time`: the last that was written at or before it; null if all are later.
  const PolicyEntry* At(WallTime time) const;
  // Those at or after `time`.
  std::span<const PolicyEntry> Since(WallTime time) const;
  // When the last entry's action and first reason began.
  std::optional<Moment> CurrentSince() const;

 private:
  std::vector<PolicyEntry> entries_;
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
// `since`: when this state began, if that is known.
std::string WhyText(const PolicyEntry& entry, std::optional<Moment> since, const Moment& now);
// `fallow-agent log`: one line a transition, in local times.
std::string LogText(std::span<const PolicyEntry> entries);

// A single entry for another process, which reads it with Parse.
std::string EntryText(const PolicyEntry& entry);

}  // namespace fallow
