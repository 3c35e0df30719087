// fallow-agent doctor: looks at everything that the agent leans on, through the running daemon
// where there is one, and says what is missing and how to mend it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/child_output.h"
#include "agent/daemon/doctor_report.h"
#include "agent/daemon/machine_senses.h"
#include "agent/daemon/owner_calls.h"
#include "agent/daemon/policy/durations.h"
#include "agent/daemon/settings_source.h"
#include "agent/daemon/status_report.h"
#include "agent/daemon/verbs.h"
#include "base/log_line.h"
#include "platform/paths.h"
#include "platform/system.h"

namespace fallow {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kHelperPatience{5'000};
// Of fallow-session --once: it has looked, and no source tells.
constexpr int kNobodyTells = 3;
// A driver compiles its first kernels; some take their time to wake a GPU.
constexpr milliseconds kDevicesPatience{20'000};

class Doctor {
 public:
  explicit Doctor(const VerbOptions& options)
      : options_(options), folder_(options.state_folder), settings_path_(options.settings_path) {}

  std::vector<Finding> Examine() {
    ExamineAgent();
    const LoadedSettings settings = LoadSettings(settings_path_, {}, {});
    ExamineSettings(settings);
    ExaminePresence(settings.settings);
    ExamineMachine();
    ExamineCompute();
    return std::move(findings_);
  }

 private:
  void Note(std::string area, Health health, std::string text, std::string way_out = "") {
    findings_.push_back({std::move(area), health, std::move(text), std::move(way_out)});
  }

  void ExamineAgent() {
    int code = kExitOk;
    const auto answer = AskDaemon(options_, SimpleCall("status"), &code);
    const bool of_machine = answer && answer->of_machine;
    if (code == kExitFailed) {
      Note("agent", Health::kWarning, answer.error().message);
      return;
    }
    if (!of_machine) ExamineMembership();
    if (!answer) {
      Note("agent", Health::kWarning, "is not running", "fallow-agent run");
      return;
    }
    status_ = Json::parse(answer->text, nullptr, /*allow_exceptions=*/false);
    if (of_machine) {
      Note("agent", Health::kGood,
           fmt::format("the one of the whole machine, joined {} as {}",
                       Text(Part(status_, "coordinator"), "url"), Text(status_, "device")));
      if (options_.any_settings) settings_path_ = SettingsPathIn(answer->text);
    }
    findings_.push_back(AgentFinding(StateWordIn(answer->text), Text(status_, "reason")));
    const std::string trouble = Text(Part(status_, "coordinator"), "trouble");
    // One that is faulty named its own.
    if (!trouble.empty() && Text(status_, "state") != DeviceStateName(DeviceState::kFaulty)) {
      Note("agent", Health::kWarning, "cannot reach the coordinator: " + trouble,
           "it tries again by itself; ask the operator if it lasts");
    }
  }

  void ExamineMembership() {
    const auto membership = folder_.LoadMembership();
    if (!membership && membership.error().code == ErrorCode::kNotFound) {
      Note("agent", Health::kBad, "has not joined a coordinator",
           "fallow-agent join 'LINK', with a link of the coordinator's operator");
    } else if (!membership) {
      Note("agent", Health::kBad, membership.error().message);
    } else {
      Note("agent", Health::kGood,
           fmt::format("joined {} as {}", membership->coordinator_url, membership->device.value));
    }
  }

  void ExamineSettings(const LoadedSettings& settings) {
    const auto there = ReadSmallFile(settings_path_);
    if (!settings.trouble.empty()) {
      Note("settings", Health::kBad, settings.trouble,
           "mend the file; until then the machine counts as in use");
    } else {
      Note("settings", Health::kGood,
           there ? settings_path_ : fmt::format("all defaults: there is no {}", settings_path_));
    }
  }

  // What the daemon is told, or else what a helper of this login would tell it.
  void ExaminePresence(const Settings& settings) {
    const bool dedicated = settings.presence.dedicated || Flag(status_, "dedicated");
    if (dedicated) Note("presence", Health::kNone, "does not count: presence.dedicated is set");
    Json told = status_;
    if (told.is_object()) {
      if (!dedicated) ExamineHelpers();
    } else {
      const auto output = ChildOutput({ProgramDirectory() + "/fallow-session", "--once", "--json"},
                                      kHelperPatience, kNobodyTells);
      if (!output) {
        Note("presence", Health::kBad, output.error().message, "install the agent anew");
        return;
      }
      told = Json::parse(*output, nullptr, /*allow_exceptions=*/false);
    }
    bool anybody_tells = false;
    for (const Json& reading : List(told, "presence")) {
      const bool known = Flag(reading, "known");
      const std::string kind = Text(reading, "kind");
      // As TellsOfPresence: a gamepad at rest tells nothing of the keyboard.
      anybody_tells = anybody_tells || (known && (kind == NameOf(PresenceKind::kInput) ||
                                                  kind == NameOf(PresenceKind::kRemote)));
      if (kind == NameOf(PresenceKind::kDistrusted)) {
        Note("presence", Health::kWarning, Sentence(reading, "not believed"),
             "counts as use until it behaves again, up to a minute long, or its login ends");
        continue;
      }
      Note("presence", known ? Health::kGood : Health::kNone,
           Sentence(reading, known ? fmt::format("idle for {}", IdleOf(reading)) : "cannot tell"));
    }
    for (const Json& signal : List(told, "session_signals")) {
      findings_.push_back(SignalFinding({.source = Text(signal, "source"),
                                         .kind = Text(signal, "kind"),
                                         .known = Flag(signal, "known"),
                                         .active = Flag(signal, "active"),
                                         .detail = Text(signal, "detail")}));
    }
    if (!anybody_tells && !dedicated) {
      Note("presence", Health::kBad,
           "nothing tells whether somebody is at this machine, so it counts as in use",
           "start the agent in the desktop's session, or let its user read input devices: "
           "usermod -aG input USER");
    }
  }

  void ExamineHelpers() {
    const Json& helpers = List(status_, "helpers");
    for (const Json& helper : helpers) {
      const std::string trouble = Text(helper, "trouble");
      Note("helpers", trouble.empty() ? Health::kGood : Health::kWarning,
           fmt::format("session '{}' of user {}{}", Text(helper, "session"),
                       Part(helper, "user_id").dump(), trouble.empty() ? "" : ": " + trouble));
    }
    if (helpers.empty()) {
      Note("helpers", Health::kWarning, "no session helper reports",
           "systemctl --user enable --now fallow-session");
    }
  }

  void ExamineMachine() {
    const auto clock = NewSystemClock();
    const auto power = NewPowerSensor()->Read();
    Note("power", power.on_battery ? Health::kGood : Health::kNone,
         power.on_battery
             ? fmt::format("{} ({})", *power.on_battery ? "on battery" : "on mains", power.detail)
             : power.detail);
    if (status_.is_object()) {
      const Json& machine = Part(status_, "machine");
      findings_.push_back(YesOrNoFinding("power", "set to save power",
                                         Answer(machine, "power_saver"),
                                         "power-profiles-daemon or ACPI"));
      findings_.push_back(YesOrNoFinding("network", "paid by volume",
                                         Answer(machine, "metered_network"), "NetworkManager"));
    }
    const ThermalReading thermal = NewThermalSensor(*clock)->Read();
    for (const Temperature& temperature : thermal.temperatures) {
      Note("heat", Health::kGood,
           fmt::format("{}: {:.0f} °C", temperature.sensor, temperature.celsius));
    }
    for (const std::string& trouble : thermal.troubles) Note("heat", Health::kWarning, trouble);
    if (thermal.temperatures.empty()) {
      Note("heat", Health::kWarning,
           "no temperature can be read: quiet mode holds its share of time alone",
           "load the processor's sensor driver (k10temp, coretemp)");
    }
    const CpuReading cpu = NewCpuLoadSensor()->Read({});
    Note("load", cpu.trouble.empty() ? Health::kGood : Health::kWarning,
         cpu.trouble.empty()
             ? fmt::format("{} processors, pressure {}", cpu.processor_count,
                           cpu.pressure_share ? fmt::format("{:.0f} %", *cpu.pressure_share * 100)
                                              : "not told")
             : cpu.trouble);
    const auto gpus = NewGpuLoadSensor(*clock)->Read({});
    for (const GpuReading& gpu : gpus) {
      Note("gpu", Health::kGood,
           fmt::format("{} {}: {}, {}", gpu.pci_address, gpu.name,
                       gpu.busy_share ? fmt::format("{:.0f} % busy", *gpu.busy_share * 100)
                                      : "does not tell its load",
                       !gpu.drives_display   ? "may drive a display"
                       : *gpu.drives_display ? "drives a display"
                                             : "no display"));
    }
    if (gpus.empty()) Note("gpu", Health::kNone, "no GPU's load can be read");
  }

  void ExamineCompute() {
    const auto output = ChildOutput(
        {ProgramDirectory() + "/fallow-worker", "--list-devices", "--json"}, kDevicesPatience);
    if (!output) {
      Note("compute", Health::kBad, output.error().message, "install the agent anew");
      return;
    }
    const Json devices = Json::parse(*output, nullptr, /*allow_exceptions=*/false);
    Note("compute", Health::kGood, "cpu: " + Text(Part(devices, "cpu"), "processor"));
    for (const Json& device : List(devices, "vulkan")) {
      const std::string unusable = Text(device, "unusable_reason");
      Note("compute", unusable.empty() ? Health::kGood : Health::kWarning,
           fmt::format("vulkan: {} ({}){}", Text(device, "name"), Text(device, "driver"),
                       unusable.empty() ? "" : "; not usable: " + unusable));
    }
    const std::string trouble = Text(devices, "vulkan_error");
    if (!trouble.empty()) Note("compute", Health::kWarning, "no Vulkan: " + trouble);
  }

  // JSON of our own programs, of which any part may be missing in another version.
  static const Json& Part(const Json& json, const char* name) {
    static const Json nothing;
    return json.is_object() && json.contains(name) ? json[name] : nothing;
  }
  static std::string Text(const Json& json, const char* name) {
    const Json& part = Part(json, name);
    return part.is_string() ? OneLine(part.get<std::string>()) : "";
  }
  static bool Flag(const Json& json, const char* name) {
    const Json& part = Part(json, name);
    return part.is_boolean() && part.get<bool>();
  }
  static std::optional<bool> Answer(const Json& json, const char* name) {
    const Json& part = Part(json, name);
    return part.is_boolean() ? std::optional(part.get<bool>()) : std::nullopt;
  }
  static const Json& List(const Json& json, const char* name) {
    static const Json none = Json::array();
    const Json& part = Part(json, name);
    return part.is_array() ? part : none;
  }
  static std::string IdleOf(const Json& reading) {
    const Json& idle = Part(reading, "idle_s");
    return ShortDuration(std::chrono::seconds(idle.is_number() ? idle.get<std::int64_t>() : 0));
  }
  static std::string Sentence(const Json& source, const std::string& said) {
    const std::string detail = Text(source, "detail");
    return fmt::format("{}: {}{}{}", Text(source, "source"), said, detail.empty() ? "" : ", ",
                       detail);
  }

  const VerbOptions& options_;
  const StateFolder folder_;
  std::string settings_path_;
  Json status_;  // the running daemon's; null if there is none
  std::vector<Finding> findings_;
};

}  // namespace

int DoctorVerb(const VerbOptions& options) {
  const std::vector<Finding> findings = Doctor(options).Examine();
  PrintOut("{}", options.json ? DoctorJson(findings) : DoctorText(findings));
  return AnyBad(findings) ? kExitFailed : kExitOk;
}

}  // namespace fallow
