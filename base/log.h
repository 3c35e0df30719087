// Logging: one line an event, `room: what happened thing=value`, to standard error.
//
// Thread-safe. LOG_x(format, …) as in fmt::format.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

#include "base/result.h"

namespace fallow {

// Call once, from main. `level` is one of trace, debug, info, warn, error, off.
Status SetUpLog(std::string_view program, std::string_view level);

}  // namespace fallow

#define LOG_DEBUG(...) ::spdlog::debug(__VA_ARGS__)
#define LOG_INFO(...) ::spdlog::info(__VA_ARGS__)
#define LOG_WARN(...) ::spdlog::warn(__VA_ARGS__)
#define LOG_ERROR(...) ::spdlog::error(__VA_ARGS__)
