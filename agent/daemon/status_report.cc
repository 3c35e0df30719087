#include "agent/daemon/status_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/daemon/policy/durations.h"
#include "base/log_line.h"

namespace fallow {
namespace {

using Json = nlohmann::ordered_json;

Json LeaseJson(const WorkSession::LeaseView& lease) {
  return {{"id", lease.lease.value},
          {"job", lease.job.value},
          {"model", lease.model.value},
          {"requests", lease.request_count},
          {"unfinished", lease.unfinished_count},
          {"unacknowledged", lease.unacknowledged_count},
          {"releasing", lease.releasing}};
}

Json PresenceJson(const PresenceReading& reading) {
  Json json = {
      {"source", reading.source}, {"kind", NameOf(reading.kind)}, {"known", reading.known}};
  json["idle_s"] = reading.known ? Json(reading.idle_for.count() / 1000) : Json(nullptr);
  json["detail"] = reading.detail;
  return json;
}

Json SignalJson(const SessionSignal& signal) {
  Json json = {{"source", signal.source}, {"kind", NameOf(signal.kind)}, {"known", signal.known}};
  json["active"] = signal.known ? Json(signal.active) : Json(nullptr);
  json["detail"] = signal.detail;
  return json;
}

Json HelperJson(const SessionDesk::HelperView& helper) {
  return {{"user_id", helper.user_id},
          {"process_id", helper.process_id},
          {"session", helper.session},
          {"heard_s_ago", helper.heard_ago.count() / 1000},
          {"trouble", helper.trouble}};
}

Json PolicyJson(const PolicyEntry& entry) {
  Json json = {{"action", ActionName(entry.decision.action)},
               {"share", entry.decision.share},
               {"text", entry.decision.text},
               {"reasons", Json::array()}};
  for (const ReasonText& reason : entry.decision.reasons)
    json["reasons"].push_back({{"reason", ReasonName(reason.reason)}, {"text", reason.text}});
  return json;
}

// Null where there is none; no end: until `resume`.
Json PauseJson(const PolicyEntry& entry) {
  const auto& reasons = entry.decision.reasons;
  if (std::ranges::find(reasons, Reason::kPausedByOwner, &ReasonText::reason) == reasons.end())
    return nullptr;
  const auto end = [](std::optional<WallTime> time) {
    return !time || *time == kPausedWithoutEnd ? Json(nullptr) : Json(UnixMs(*time));
  };
  const Signals& signals = entry.signals;
  const bool root =
      signals.paused_by_root_until && *signals.paused_by_root_until > entry.moment.wall;
  return {{"until_ms", end(signals.paused_until)},
          {"by_root", root},
          {"by_root_until_ms", end(signals.paused_by_root_until)}};
}

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json YieldsJson(const YieldStats::Summary& yields) {
  Json json = {
      {"count", yields.count},   {"killed", yields.killed_count}, {"idle", yields.idle_count},
      {"p50_ms", yields.p50_ms}, {"p99_ms", yields.p99_ms},       {"max_ms", yields.max_ms},
      {"last", nullptr}};
  if (yields.last) {
    json["last"] = {{"input_at_us", yields.last->input_at.time_since_epoch().count()},
                    {"freed_at_us", yields.last->freed_at.time_since_epoch().count()},
                    {"how", YieldHowName(yields.last->how)}};
  }
  return json;
}

Json MachineJson(const Signals& signals) {
  return {{"on_battery", OrNull(signals.power.on_battery)},
          {"power_saver", OrNull(signals.power.power_saver)},
          {"metered_network", OrNull(signals.metered)}};
}

std::string SizeText(double bytes) {
  constexpr double kMib = 1 << 20, kGib = 1 << 30;
  return bytes < kGib ? fmt::format("{:.1f} MiB", bytes / kMib)
                      : fmt::format("{:.1f} GiB", bytes / kGib);
}

std::string RuleOf(const Settings& settings) {
  if (settings.presence.dedicated) return "dedicated: always free";
  return fmt::format("free after {} without input", ShortDuration(settings.presence.idle_after));
}

std::string StateWord(const Json& report) {
  const std::string state = report.at("state").get<std::string>();
  // An agent of another version does not say whether it was told to.
  const bool told_to = !report.contains("pause") || !report.at("pause").is_null();
  return state == DeviceStateName(DeviceState::kPaused) && !told_to ? "waits" : state;
}

// Renders a report that came as JSON; throws nlohmann's exceptions on one of another shape.
std::string Render(const Json& report) {
  std::string text = fmt::format("{}: {}\n\n", OneLine(StateWord(report)),
                                 OneLine(report.at("reason").get<std::string>()));
  // The words of workers and drivers among them.
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<13}{}\n", name, OneLine(value));
  };
  const Json& coordinator = report.at("coordinator");
  const std::string trouble = coordinator.at("trouble").get<std::string>();
  std::string heard = "not heard from yet";
  if (!coordinator.at("heard_s_ago").is_null()) {
    heard = fmt::format("heard from {} ago",
                        ShortDuration(std::chrono::seconds(coordinator.at("heard_s_ago"))));
  }
  line("coordinator", fmt::format("{} ({}{}{})", coordinator.at("url").get<std::string>(), heard,
                                  trouble.empty() ? "" : "; ", trouble));
  line("device", fmt::format("{} on {}", report.at("device").get<std::string>(),
                             report.at("hostname").get<std::string>()));
  const Json& backend = report.at("backend");
  line("computes on", backend.is_null()
                          ? "not known before the worker first runs"
                          : fmt::format("{} ({})", report.at("processor").get<std::string>(),
                                        backend.get<std::string>()));
  if (report.at("whole_system").get<bool>()) line("serves", "every login of this machine");
  line("rule", report.at("rule").get<std::string>());
  const Json& policy = report.at("policy");
  for (std::size_t i = 1; i < policy.at("reasons").size(); ++i)
    line("also", policy.at("reasons")[i].at("text").get<std::string>());
  for (const Json& reading : report.at("presence")) {
    const bool distrusted =
        reading.at("kind").get<std::string>() == NameOf(PresenceKind::kDistrusted);
    const std::string known =
        distrusted ? "not believed"
        : reading.at("known").get<bool>()
            ? fmt::format("idle for {}", ShortDuration(std::chrono::seconds(reading.at("idle_s"))))
            : "cannot tell";
    const std::string detail = reading.at("detail").get<std::string>();
    line("presence", fmt::format("{}: {}{}{}", reading.at("source").get<std::string>(), known,
                                 detail.empty() ? "" : ", ", detail));
  }
  const Json& yields = report.at("yields");
  if (yields.at("count").get<std::uint64_t>() > 0) {
    line("gives back",
         fmt::format("in {:.1f} ms, 99 of 100 times in {:.1f} ms (worst {:.1f} ms of {})",
                     yields.at("p50_ms").get<double>(), yields.at("p99_ms").get<double>(),
                     yields.at("max_ms").get<double>(), yields.at("count").get<std::uint64_t>()));
  }
  const Json& worker = report.at("worker");
  std::string worker_text = worker.at("state").get<std::string>();
  if (const int losses = worker.at("losses"); losses > 0) {
    worker_text +=
        fmt::format(", lost {} (last: {})", losses == 1 ? "once" : fmt::format("{} times", losses),
                    worker.at("trouble").get<std::string>());
  }
  line("worker", worker_text);
  for (const Json& lease : report.at("leases")) {
    line("lease", fmt::format("{} of {}: {} of {} requests to do{}",
                              lease.at("id").get<std::string>(), lease.at("job").get<std::string>(),
                              lease.at("unfinished").get<std::uint64_t>(),
                              lease.at("requests").get<std::uint64_t>(),
                              lease.at("releasing").get<bool>() ? ", being given back" : ""));
  }
  const double reads = report.at("embedding_tokens_per_second").get<double>();
  line("done", fmt::format("{} requests, {} tokens since start, {:.0f} tokens/s{}",
                           report.at("finished_requests").get<std::uint64_t>(),
                           report.at("generated_tokens").get<std::uint64_t>(),
                           report.at("tokens_per_second").get<double>(),
                           reads > 0 ? fmt::format(", {:.0f} read for embeddings", reads) : ""));
  const Json& cache = report.at("cache");
  line("model cache", fmt::format("{} of {}", SizeText(cache.at("bytes").get<double>()),
                                  SizeText(cache.at("max_bytes").get<double>())));
  return text;
}

}  // namespace

std::string StatusJson(const StatusReport& report) {
  Json json;
  json["state"] = DeviceStateName(report.status.state);
  json["reason"] = report.status.reason;
  json["tokens_per_second"] = report.status.tokens_per_second;
  json["embedding_tokens_per_second"] = report.status.embedding_tokens_per_second;
  json["coordinator"] = {{"url", report.coordinator_url}, {"trouble", report.coordinator_trouble}};
  json["coordinator"]["heard_s_ago"] =
      report.coordinator_heard_ago ? Json(report.coordinator_heard_ago->count()) : Json(nullptr);
  json["device"] = report.device.value;
  json["hostname"] = report.profile.hostname;
  json["backend"] = nullptr;
  if (report.profile.backend == BackendKind::kCpu) json["backend"] = "cpu";
  if (report.profile.backend == BackendKind::kVulkan) json["backend"] = "vulkan";
  json["processor"] = report.profile.processor;
  json["driver"] = report.profile.driver;
  json["memory_bytes"] = report.profile.memory_bytes;
  json["agent_version"] = report.profile.agent_version;
  json["rule"] = RuleOf(report.decided.settings);
  json["dedicated"] = report.decided.settings.presence.dedicated;
  json["settings"] = report.settings_path;
  json["whole_system"] = report.whole_system;
  json["policy"] = PolicyJson(report.decided);
  json["pause"] = PauseJson(report.decided);
  json["machine"] = MachineJson(report.decided.signals);
  json["presence"] = Json::array();
  for (const PresenceReading& reading : report.decided.signals.presence)
    json["presence"].push_back(PresenceJson(reading));
  json["session_signals"] = Json::array();
  for (const SessionSignal& signal : report.decided.signals.session)
    json["session_signals"].push_back(SignalJson(signal));
  json["helpers"] = Json::array();
  for (const SessionDesk::HelperView& helper : report.helpers)
    json["helpers"].push_back(HelperJson(helper));
  json["leases"] = Json::array();
  for (const WorkSession::LeaseView& lease : report.leases)
    json["leases"].push_back(LeaseJson(lease));
  json["finished_requests"] = report.finished_request_count;
  json["generated_tokens"] = report.generated_token_count;
  json["worker"] = {{"state", report.worker_state},
                    {"process_id", OrNull(report.worker_process_id)},
                    {"losses", report.worker_loss_count},
                    {"trouble", report.worker_trouble}};
  json["yields"] = YieldsJson(report.yields);
  json["cache"] = {{"bytes", report.cache_bytes}, {"max_bytes", report.cache_max_bytes}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string SettingsPathIn(std::string_view json) {
  const Json report = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const bool there = report.is_object() && report.contains("settings");
  return there && report["settings"].is_string() ? report["settings"].get<std::string>() : "";
}

std::string StateWordIn(std::string_view json) {
  const Json report = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const bool told =
      report.is_object() && report.contains("state") && report.at("state").is_string();
  return told ? OneLine(StateWord(report)) : "";
}

std::string HeldUpBy(std::string_view json) {
  const Json report = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const auto text = [](const Json& from, const char* name) {
    const bool there = from.is_object() && from.contains(name) && from[name].is_string();
    return there ? from[name].get<std::string>() : "";
  };
  const std::string state = text(report, "state");
  const bool idle = state == DeviceStateName(DeviceState::kIdle);
  if (!idle && state != DeviceStateName(DeviceState::kFaulty)) return "";
  const std::string known =
      report.contains("policy") ? text(report["policy"], "text") + "; " : std::string();
  std::string reason = text(report, "reason");
  if (reason.starts_with(known)) reason.erase(0, known.size());
  return fmt::format("{}: {}", state, OneLine(reason));
}

Result<std::string> StatusText(std::string_view json) {
  try {
    return Render(Json::parse(json));
  } catch (const Json::exception& error) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("the running agent answered something else than a status: {}", error.what()));
  }
}

}  // namespace fallow
