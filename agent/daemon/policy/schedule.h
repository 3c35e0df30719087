// When work is allowed: spans of weekdays and hours, in the machine's own time.
//
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/daemon/policy/settings.h"
#include "base/result.h"

namespace fallow {

// "mon-fri 19:00-07:00", "sat,sun", "22:30-06:00", "fri-mon 20:00-24:00": days (each day if none),
// then hours (the whole day if none). A span past midnight belongs to the day on which it begins.
Result<Settings::Schedule::Span> ParseScheduleSpan(std::string_view text);
// What ParseScheduleSpan gives back exactly.
std::string FormatScheduleSpan(const Settings::Schedule::Span& span);

// `weekday` 0 Monday … 6 Sunday, `minute_of_day` 0…1439. A schedule without spans allows always.
bool IsAllowed(const Settings::Schedule& schedule, int weekday, int minute_of_day);
// Minutes until it is allowed; 0 if it is now, none if that never comes.
std::optional<int> MinutesUntilAllowed(const Settings::Schedule& schedule, int weekday,
                                       int minute_of_day);

}  // namespace fallow
