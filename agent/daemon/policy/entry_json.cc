#include "agent/daemon/policy/entry_json.h"

#include <string_view>

#include "agent/daemon/policy/json_codec.h"

namespace fallow {

template <>
std::span<const std::string_view> EnumNames<PresenceKind>() {
  return kPresenceKindNames;
}
template <>
std::span<const std::string_view> EnumNames<SessionSignalKind>() {
  return kSessionSignalKindNames;
}
template <>
std::span<const std::string_view> EnumNames<HeatedPart>() {
  static constexpr std::string_view kNames[] = {"processor", "gpu"};
  return kNames;
}
template <>
std::span<const std::string_view> EnumNames<QuietLimit>() {
  static constexpr std::string_view kNames[kQuietLimitCount] = {"cpu_heat", "gpu_heat", "watts",
                                                                "gpu_power"};
  return kNames;
}
template <>
std::span<const std::string_view> EnumNames<Action>() {
  return ActionNames();
}
template <>
std::span<const std::string_view> EnumNames<Reason>() {
  return ReasonNames();
}

void Fields(auto& visit, Is<Moment> auto& moment) {
  visit("steady_us", moment.steady);
  visit("wall_ms", moment.wall);
  visit("weekday", moment.weekday);
  visit("minute_of_day", moment.minute_of_day);
}

void Fields(auto& visit, Is<ReasonText> auto& reason) {
  visit("reason", reason.reason);
  visit("text", reason.text);
  visit("way_out", reason.way_out);
}
void Fields(auto& visit, Is<Decision> auto& decision) {
  visit("action", decision.action);
  visit("share", decision.share);
  visit("only_gpus", decision.only_gpus);
  visit("keep_memory", decision.keep_memory);
  visit("text", decision.text);
  visit("reasons", decision.reasons);
}

void Fields(auto& visit, Is<PresenceReading> auto& reading) {
  visit("source", reading.source);
  visit("kind", reading.kind);
  visit("known", reading.known);
  visit("idle_ms", reading.idle_for);
  visit("detail", reading.detail);
}
void Fields(auto& visit, Is<SessionSignal> auto& signal) {
  visit("kind", signal.kind);
  visit("source", signal.source);
  visit("known", signal.known);
  visit("active", signal.active);
  visit("detail", signal.detail);
}
void Fields(auto& visit, Is<PowerReading> auto& power) {
  visit("on_battery", power.on_battery);
  visit("charge_percent", power.charge_percent);
  visit("power_saver", power.power_saver);
  visit("detail", power.detail);
}
void Fields(auto& visit, Is<Temperature> auto& temperature) {
  visit("part", temperature.part);
  visit("sensor", temperature.sensor);
  visit("celsius", temperature.celsius);
  visit("critical_celsius", temperature.critical_celsius);
}
void Fields(auto& visit, Is<ThermalReading> auto& thermal) {
  visit("temperatures", thermal.temperatures);
  visit("processor_watts", thermal.processor_watts);
  visit("troubles", thermal.troubles);
}
void Fields(auto& visit, Is<GpuReading> auto& gpu) {
  visit("pci_address", gpu.pci_address);
  visit("name", gpu.name);
  visit("drives_display", gpu.drives_display);
  visit("busy_share", gpu.busy_share);
  visit("foreign_busy_share", gpu.foreign_busy_share);
  visit("memory_total_bytes", gpu.memory_total_bytes);
  visit("memory_used_bytes", gpu.memory_used_bytes);
  visit("foreign_memory_bytes", gpu.foreign_memory_bytes);
  visit("celsius", gpu.celsius);
  visit("watts", gpu.watts);
  visit("watts_limit", gpu.watts_limit);
}
void Fields(auto& visit, Is<CpuReading> auto& cpu) {
  visit("processor_count", cpu.processor_count);
  visit("foreign_share", cpu.foreign_share);
  visit("pressure_share", cpu.pressure_share);
  visit("memory_pressure_share", cpu.memory_pressure_share);
  visit("memory_total_bytes", cpu.memory_total_bytes);
  visit("memory_available_bytes", cpu.memory_available_bytes);
  visit("trouble", cpu.trouble);
}
void Fields(auto& visit, Is<Signals> auto& signals) {
  visit("presence", signals.presence);
  visit("session", signals.session);
  visit("machine_read", signals.machine_read);
  visit("power", signals.power);
  visit("thermal", signals.thermal);
  visit("gpus", signals.gpus);
  visit("cpu", signals.cpu);
  visit("metered", signals.metered);
  visit("owner_programs", signals.owner_programs);
  visit("suspending", signals.suspending);
  visit("paused_until_ms", signals.paused_until);
  visit("paused_by_root_until_ms", signals.paused_by_root_until);
  visit("settings_trouble", signals.settings_trouble);
  visit("notices", signals.notices);
}

void Fields(auto& visit, Is<PolicyMemory::Hold> auto& hold) {
  visit("holds", hold.holds);
  visit("clear_since_us", hold.clear_since);
  visit("released_us", hold.released);
  visit("repeats", hold.repeats);
}
void Fields(auto& visit, Is<QuietState::Loop> auto& loop) {
  visit("seen", loop.seen);
  visit("smooth", loop.smooth);
  visit("slope", loop.slope);
  visit("ceiling", loop.ceiling);
  visit("last_error", loop.last_error);
  visit("read_at_us", loop.read_at);
  visit("over_s", loop.over_s);
}
void Fields(auto& visit, Is<QuietState> auto& quiet) {
  visit("share", quiet.share);
  visit("stepped_at_us", quiet.stepped_at);
  visit("limited_by", quiet.limited_by);
  visit("loops", quiet.loops);
}
void Fields(auto& visit, Is<PolicyMemory> auto& memory) {
  visit("action", memory.action);
  visit("paused_since_us", memory.paused_since);
  visit("began_us", memory.began);
  visit("kept_memory", memory.kept_memory);
  visit("was_free", memory.was_free);
  visit("paused_by_owner_alone", memory.paused_by_owner_alone);
  visit("holds", memory.holds);
  visit("pause_end_ms", memory.pause_end);
  visit("pause_deadline_us", memory.pause_deadline);
  visit("quiet", memory.quiet);
}

Json MomentJson(const Moment& moment) {
  return ToJson(moment);
}
Moment MomentOf(const Json& json) {
  const auto moment = FromJson<Moment>(json);
  const bool is_one = moment.wall != WallTime::max() && moment.weekday >= 0 && moment.weekday < 7 &&
                      moment.minute_of_day >= 0 && moment.minute_of_day < 24 * 60;
  if (!is_one) RefuseJson("not a moment");
  return moment;
}
Json DecisionJson(const Decision& decision) {
  return ToJson(decision);
}
Decision DecisionOf(const Json& json) {
  return FromJson<Decision>(json);
}
Json SignalsJson(const Signals& signals) {
  return ToJson(signals);
}
Signals SignalsOf(const Json& json) {
  return FromJson<Signals>(json);
}
Json MemoryJson(const PolicyMemory& memory) {
  return ToJson(memory);
}
PolicyMemory MemoryOf(const Json& json) {
  return FromJson<PolicyMemory>(json);
}

}  // namespace fallow
