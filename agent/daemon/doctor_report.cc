#include "agent/daemon/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"

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

}  // namespace

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
