// One line of the explain log: a decision with everything it was made from.
//
// Deciding again from an entry gives the same decision. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "agent/daemon/policy/policy.h"
#include "base/result.h"

namespace fallow {

// Raised whenever Decide would answer an old entry differently; such entries are not replayed.
inline constexpr int kPolicyVersion = 1;
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

struct LineKind {
  bool is_settings = false, is_entry = false;  // neither: a line of something else, or torn
  std::string settings_digest;                 // that it tells or names
};
LineKind KindOf(std::string_view line);
// kDataLoss on anything that those two do not write.
Result<Settings> ParseSettingsLine(std::string_view line);
// `settings`: those of the digest that the entry names.
Result<PolicyEntry> ParseEntry(std::string_view line, const Settings& settings);

}  // namespace fallow
