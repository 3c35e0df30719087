#include "agent/session/source_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/log_line.h"

namespace fallow {
namespace {

using Json = nlohmann::json;

std::string_view WordsFor(SessionSignalKind kind) {
  switch (kind) {
    case SessionSignalKind::kFullScreen:
      return "full screen";
    case SessionSignalKind::kGameMode:
      return "game";
    case SessionSignalKind::kIdleInhibitor:
      break;
  }
  return "keeps the screen awake";
}

std::string Line(const std::string& source, std::string_view says, const std::string& detail) {
  return OneLine(detail.empty() ? fmt::format("{}: {}", source, says)
                                : fmt::format("{}: {} ({})", source, says, detail)) +
         "\n";
}

}  // namespace

std::string SourceText(std::span<const PresenceReading> presence,
                       std::span<const SessionSignal> signals) {
  std::string text;
  for (const PresenceReading& reading : presence) {
    const std::string says = reading.known
                                 ? fmt::format("idle for {} s", reading.idle_for.count() / 1000)
                                 : "cannot tell";
    text += Line(reading.source, says, reading.detail);
  }
  for (const SessionSignal& signal : signals) {
    const std::string says =
        !signal.known ? "cannot tell"
                      : fmt::format("{}: {}", WordsFor(signal.kind), signal.active ? "yes" : "no");
    text += Line(signal.source, says, signal.detail);
  }
  return text;
}

std::string SourceJson(std::span<const PresenceReading> presence,
                       std::span<const SessionSignal> signals) {
  Json json = {{"presence", Json::array()}, {"session_signals", Json::array()}};
  for (const PresenceReading& reading : presence) {
    json["presence"].push_back(
        {{"source", reading.source},
         {"kind", NameOf(reading.kind)},
         {"known", reading.known},
         {"idle_s", reading.known ? Json(reading.idle_for.count() / 1000) : Json(nullptr)},
         {"detail", reading.detail}});
  }
  for (const SessionSignal& signal : signals) {
    json["session_signals"].push_back(
        {{"source", signal.source},
         {"kind", NameOf(signal.kind)},
         {"known", signal.known},
         {"active", signal.known ? Json(signal.active) : Json(nullptr)},
         {"detail", signal.detail}});
  }
  // What programs say may be no UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fallow
