#include "agent/daemon/policy/policy_entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/daemon/policy/entry_json.h"
#include "agent/daemon/policy/json_codec.h"
#include "agent/daemon/policy/settings_file.h"
#include "base/digest.h"

namespace fallow {
namespace {

// In the order of the kinds.
constexpr std::array<std::string_view, 3> kMarkNames = {"began", "ended", "clock_set_back"};

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

template <class Parse>
auto Guarded(std::string_view line, std::string_view what, Parse parse)
    -> Result<decltype(parse(Json()))> {
  try {
    return parse(Json::parse(line));
  } catch (const Json::exception& error) {
    return Fail(ErrorCode::kDataLoss, fmt::format("not {}: {}", what, error.what()));
  }
}

}  // namespace

std::string SettingsDigest(const Settings& settings) {
  return Sha256::Of(SettingsText(settings)).Hex().substr(0, 16);
}

std::string SettingsLine(const Settings& settings) {
  Json json;
  json["settings"] = SettingsDigest(settings);
  json["text"] = SettingsText(settings);
  return Line(json);
}

std::string EntryLine(const PolicyEntry& entry) {
  Json json;
  json["version"] = entry.version;
  json["settings"] = SettingsDigest(entry.settings);
  json["moment"] = MomentJson(entry.moment);
  json["decision"] = DecisionJson(entry.decision);
  json["signals"] = SignalsJson(entry.signals);
  json["before"] = MemoryJson(entry.before);
  return Line(json);
}

std::string RunMarkLine(const RunMark& mark) {
  Json json;
  json["agent"] = kMarkNames.at(static_cast<std::size_t>(mark.kind));
  json["moment"] = MomentJson(mark.moment);
  if (mark.last_sign) json["last_sign_ms"] = UnixMs(*mark.last_sign);
  if (mark.clock_was) json["clock_was_ms"] = UnixMs(*mark.clock_was);
  return Line(json);
}

LineKind KindOf(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_object() && json.contains("agent")) {
    LineKind mark;
    mark.is_mark = true;
    return mark;
  }
  if (!json.is_object() || !json.contains("settings") || !json["settings"].is_string()) return {};
  return {.is_settings = json.contains("text"),
          .is_entry = json.contains("decision"),
          .is_mark = false,
          .settings_digest = json["settings"].get<std::string>()};
}

Result<Settings> ParseSettingsLine(std::string_view line) {
  FALLOW_ASSIGN_OR_RETURN(const std::string text,
                          Guarded(line, "a line of settings", [](const Json& json) {
                            return json.at("text").get<std::string>();
                          }));
  return ParseSettings(text, "recorded settings");
}

Result<PolicyEntry> ParseEntry(std::string_view line, const Settings& settings) {
  return Guarded(line, "an entry of the explain log", [&](const Json& json) {
    PolicyEntry entry;
    entry.version = FromJson<int>(json.at("version"));
    entry.settings = settings;
    entry.moment = MomentOf(json.at("moment"));
    entry.decision = DecisionOf(json.at("decision"));
    entry.signals = SignalsOf(json.at("signals"));
    entry.before = MemoryOf(json.at("before"));
    return entry;
  });
}

Result<RunMark> ParseRunMark(std::string_view line) {
  return Guarded(line, "a line of an agent's beginning or end", [](const Json& json) {
    const auto name = std::ranges::find(kMarkNames, json.at("agent").get<std::string>());
    if (name == kMarkNames.end()) RefuseJson("not what an agent tells of itself");
    const auto time = [&](const char* key) -> std::optional<WallTime> {
      const auto found = json.find(key);
      if (found == json.end()) return std::nullopt;
      return FromJson<WallTime>(*found);
    };
    RunMark mark{.kind = static_cast<RunMark::Kind>(name - kMarkNames.begin()),
                 .moment = MomentOf(json.at("moment")),
                 .last_sign = time("last_sign_ms"),
                 .clock_was = time("clock_was_ms")};
    if (mark.kind == RunMark::Kind::kClockSetBack && !mark.clock_was)
      RefuseJson("a clock was set back, and from when is not said");
    return mark;
  });
}

}  // namespace fallow
