// Writes a day and time as Python's strftime does in the C locale.
#pragma once

#include "engine/chat/jinja/callable.h"

namespace fallow::engine::jinja {

// Whether such a day exists, years 1 to 9999.
bool IsCivilTime(const CivilTime& time);

// The marks Y y m d j e H I M S p B b A a and %; numbers also without leading zeros (%-d).
// Others are kUnimplemented. `time` must be one.
Result<Text> FormatTime(const Text& format, const CivilTime& time);

}  // namespace fallow::engine::jinja
