#include "agent/daemon/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "platform/session_signals.h"
#include "protocol/agent_messages.h"

namespace fallow {
namespace {

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kGood:
      return "good";
    case Health::kNone:
      return "none";
    case Health::kWarning:
      return "warning";
    case Health::kBad:
      return "bad";
  }
  FALLOW_UNREACHABLE();
}

std::string_view Mark(Health health) {
  switch (health) {
    case Health::kGood:
      return "ok";
    case Health::kNone:
      return "-";
    case Health::kWarning:
      return "warn";
    case Health::kBad:
      return "BAD";
  }
  FALLOW_UNREACHABLE();
}

bool IsOfWaylandWindows(const ToldSignal& signal) {
  return signal.kind == NameOf(SessionSignalKind::kFullScreen) &&
         signal.source.starts_with("wayland ");
}

}  // namespace

Finding SignalFinding(const ToldSignal& signal) {
  const std::string_view said = !signal.known ? "cannot tell" : signal.active ? "active" : "quiet";
  Finding finding{.area = "signals",
                  .health = signal.known ? Health::kGood : Health::kNone,
                  .text = fmt::format("{}: {}{}{}", signal.source, said,
                                      signal.detail.empty() ? "" : ", ", signal.detail),
                  .way_out = ""};
  if (signal.known) return finding;
  if (IsOfWaylandWindows(signal)) {
    // A film or a game that goes on without input is not seen by this.
    finding.health = Health::kWarning;
    finding.way_out =
        "start games with GameMode (gamemoderun GAME), and name other programs that fill the "
        "screen in presence.programs";
  } else if (signal.source == "desktop") {
    finding.way_out = "name programs that keep the screen awake in presence.programs";
  }
  return finding;
}

Finding AgentFinding(const std::string& state, const std::string& reason) {
  Finding finding{.area = "agent",
                  .health = Health::kGood,
                  .text = fmt::format("runs: {}, {}", state, reason),
                  .way_out = ""};
  if (state == DeviceStateName(DeviceState::kFaulty)) {
    finding.health = Health::kBad;
    finding.way_out = "mend what it names; it tries again by itself";
  }
  return finding;
}

Finding YesOrNoFinding(std::string area, std::string_view what, std::optional<bool> told,
                       std::string_view who_would_tell) {
  return {.area = std::move(area),
          .health = told ? Health::kGood : Health::kNone,
          .text = told ? fmt::format("{}: {}", what, *told ? "yes" : "no")
                       : fmt::format("{}: cannot tell, {} would", what, who_would_tell),
          .way_out = ""};
}

bool AnyBad(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings,
                             [](const Finding& finding) { return finding.health == Health::kBad; });
}

std::string DoctorText(const std::vector<Finding>& findings) {
  std::string text;
  std::string_view area;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<12}{:<6}{}\n", finding.area == area ? "" : finding.area,
                        Mark(finding.health), finding.text);
    if (!finding.way_out.empty()) text += fmt::format("{:<18}→ {}\n", "", finding.way_out);
    area = finding.area;
  }
  const auto bad = std::ranges::count(findings, Health::kBad, &Finding::health);
  const auto warnings = std::ranges::count(findings, Health::kWarning, &Finding::health);
  text += bad + warnings == 0 ? "\nEverything that is needed is there.\n"
                              : fmt::format("\n{} to mend, {} to know.\n", bad, warnings);
  return text;
}

std::string DoctorJson(const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  Json json = Json::array();
  for (const Finding& finding : findings) {
    json.push_back({{"area", finding.area},
                    {"health", HealthName(finding.health)},
                    {"text", finding.text},
                    {"way_out", finding.way_out}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fallow
