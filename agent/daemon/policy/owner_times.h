// Points in time as owners type them: "21:40", "yesterday 9pm", "mon 8:00", "2026-07-30 21:40".
//
// Pure functions.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace fallow {

// How far local time is ahead of UTC at a time.
using OffsetAt = std::function<std::chrono::minutes(WallTime)>;

// Both take a clock ("21:40", "9:05:30", "9pm", "9:40 pm") behind today, yesterday, tomorrow, a
// weekday or a date, or alone, and a day alone, which is its midnight; a date may be joined to its
// clock by a T and followed by Z or +02:00. Upper and lower case are alike. Of a clock that was set
// back over such a time, which then comes twice, the nearest to `now` counts.
// kInvalidArgument names what was found and what may be.

// A time that was. A clock alone, or a weekday, is the last such; "now", and lengths of time too:
// "2h ago", "30m". A time after `now` is kInvalidArgument.
Result<WallTime> ParsePastTime(std::string_view text, WallTime now, const OffsetAt& offset_at);
// A time to come. A clock alone, or a weekday, is the next such. A time that is not after `now` is
// kInvalidArgument.
Result<WallTime> ParseComingTime(std::string_view text, WallTime now, const OffsetAt& offset_at);

}  // namespace fallow
