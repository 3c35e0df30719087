// The lines of the explain log: decisions, each with everything it was made from, and when an agent
// began and ended.
//
// Deciding again from an entry gives the same decision. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/daemon/policy/policy.h"
#include "base/result.h"

namespace fallow {

// Raised whenever Decide would answer an old entry differently; such entries are not replayed.
inline constexpr int kPolicyVersion = 2;
inline constexpr std::size_t kMaxEntryBytes =
    32 * 1024;  // signals are bounded so that it is enough

struct PolicyEntry {
  int version = kPolicyVersion;
  Moment moment;
  Settings settings;
  Signals signals;  // Bounded
  PolicyMemory before;
  Decision decision;
  bool operator==(const PolicyEntry&) const = default;
};

// The settings are a line of their own, written before the first entry that was made under them;
// an entry names them by their digest (16 hexadecimal digits of SHA-256 of SettingsText).
std::string SettingsDigest(const Settings& settings);
std::string SettingsLine(const Settings& settings);  // with its '\n', as below
std::string EntryLine(const PolicyEntry& entry);     // at most kMaxEntryBytes

// That an agent began, or ended in good order, or that its wall clock was set back while it ran.
// Agents before the first that wrote these read them as lines of something else.
struct RunMark {
  enum class Kind : std::uint8_t { kBegan, kEnded, kClockSetBack };
  Kind kind = Kind::kBegan;
  Moment moment;
  // Of one that began: the last sign of life of the one before, kept outside the log.
  std::optional<WallTime> last_sign;
  // Of a clock that was set back: what it would tell else at `moment`.
  std::optional<WallTime> clock_was;
  bool operator==(const RunMark&) const = default;
};
std::string RunMarkLine(const RunMark& mark);  // with its '\n'

struct LineKind {
  // None of them: a line of something else, or torn.
  bool is_settings = false, is_entry = false, is_mark = false;
  std::string settings_digest;  // that it tells or names
};
LineKind KindOf(std::string_view line);
// kDataLoss on anything that those above do not write.
Result<Settings> ParseSettingsLine(std::string_view line);
// `settings`: those of the digest that the entry names.
Result<PolicyEntry> ParseEntry(std::string_view line, const Settings& settings);
Result<RunMark> ParseRunMark(std::string_view line);

}  // namespace fallow
