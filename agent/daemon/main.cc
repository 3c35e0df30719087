// fallow-agent: lends this machine's idle hours to a coordinator.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "agent/daemon/policy/near_words.h"
#include "agent/daemon/policy/setting_specs.h"
#include "agent/daemon/verbs.h"
#include "base/utf8.h"
#include "platform/heap.h"
#include "platform/paths.h"

namespace fallow {
namespace {

constexpr const char* kMachineNote =
    "Where you run no agent of your own, status, why, log, pause, resume, limits and doctor mean "
    "the\n"
    "one of the whole machine. It obeys root and whoever is logged in at the machine's own "
    "screen.\n"
    "What root paused only root may end or shorten: sudo fallow-agent resume.\n"
    "\n";
constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0  done\n"
    "  1  failed for another reason than those below\n"
    "  2  wrong usage\n"
    "  3  this agent has not joined a coordinator\n"
    "  4  refused: wrong pin, token not valid, or this agent is too old\n"
    "  5  the coordinator cannot be reached\n"
    "  6  no agent is running for this state directory";

class CommandLine {
 public:
  CommandLine() {
    app_.name("fallow-agent");
    app_.footer(std::string(kMachineNote) + kExitCodes);
    app_.require_subcommand(1);
    app_.set_version_flag("--version", FALLOW_VERSION);
    AddMembership();
    AddRun();
    AddLooking();
    AddControl();
    CLI::App* help = app_.add_subcommand("help", "Show this help, or that of a command");
    help->add_option("COMMAND", helped_);
    help->callback([this] { verb_ = [this](const VerbOptions&) { return Help(); }; });
  }

  int Main(int argc, char** argv) {
    if (argc > 1 && *argv[1] != '-' && !IsCommand(argv[1]))
      return FailWith({ErrorCode::kInvalidArgument, UnknownCommand(argv[1])}, kExitUsage);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    options_.any_agent = options_.state_folder.empty();
    if (options_.any_agent) options_.state_folder = own_state_folder_;
    options_.any_settings = options_.settings_path.empty();
    if (options_.any_settings) options_.settings_path = own_settings_path_;
    return Flushed(verb_(options_));
  }

 private:
  using Verb = std::function<int(const VerbOptions&)>;

  int Help() const {
    if (!helped_.empty() && !IsCommand(helped_))
      return FailWith({ErrorCode::kInvalidArgument, UnknownCommand(helped_)}, kExitUsage);
    const CLI::App* app = helped_.empty() ? &app_ : app_.get_subcommand(helped_);
    // app_.help() would be that of the command which was typed.
    PrintOut("{}", app->get_formatter()->make_help(
                       app, helped_.empty() ? app_.get_name() : app_.get_name() + " " + helped_,
                       CLI::AppFormatMode::Normal));
    return kExitOk;
  }

  std::vector<const CLI::App*> Commands() const {
    return app_.get_subcommands([](const CLI::App*) { return true; });
  }

  bool IsCommand(std::string_view word) const {
    return std::ranges::any_of(Commands(),
                               [&](const CLI::App* known) { return known->get_name() == word; });
  }

  std::string UnknownCommand(std::string_view word) const {
    std::string nearest;
    std::size_t least = TooFar(word);
    for (const CLI::App* known : Commands()) {
      const std::size_t distance = EditDistance(word, known->get_name());
      if (distance >= least) continue;
      least = distance;
      nearest = known->get_name();
    }
    return fmt::format("there is no command \"{}\"; {}", ToValidUtf8(word, 64),
                       nearest.empty() ? "`fallow-agent help` lists them"
                                       : fmt::format("did you mean {}?", nearest));
  }

  CLI::App* Add(const char* name, const char* what, Verb verb) {
    CLI::App* command = app_.add_subcommand(name, what);
    command->add_option("--state-dir", options_.state_folder, "Where this agent keeps everything")
        ->option_text("DIR [" + own_state_folder_ + "]");
    command->callback([this, verb = std::move(verb)] { verb_ = verb; });
    return command;
  }

  void AddSettingsPath(CLI::App* command) {
    command->add_option("--settings", options_.settings_path, "The owner's settings")
        ->option_text("FILE [" + own_settings_path_ + "]");
  }

  void AddJson(CLI::App* command) { command->add_flag("--json", options_.json, "For programs"); }

  // An option of `run` that stands for a setting; the setting's table knows what it may be.
  void AddSetting(CLI::App* command, const char* name, const char* key, const char* text) {
    const SettingSpec* spec = FindSetting(key);
    const auto check = [key = std::string(key)](const std::string& value) -> std::string {
      Settings scratch;
      const Status status = SetSetting(scratch, key, value);
      return status ? "" : status.error().message;
    };
    command
        ->add_option_function<std::string>(
            name,
            [this, key = std::string(key)](const std::string& value) {
              options_.overrides.emplace_back(key, value);
            },
            std::string(spec->meaning))
        ->option_text(text)
        ->check(check);
  }

  void AddMembership() {
    CLI::App* join = Add("join", "Make this machine a device of a coordinator", JoinVerb);
    join->add_option("LINK", options_.link, "https://HOST:PORT/#join=TOKEN&pin=HEX, in quotes")
        ->required();
    join->footer(kExitCodes);
    Add("leave", "Stop the agent and forget its coordinator and key", LeaveVerb)
        ->footer(kExitCodes);
  }

  void AddRun() {
    CLI::App* run = Add("run", "Work whenever the machine is free, until stopped", RunVerb);
    AddSettingsPath(run);
    run->add_flag_callback(
        "--dedicated", [this] { options_.overrides.emplace_back("presence.dedicated", "yes"); },
        "A machine without an owner: always free");
    run->add_flag("--system", options_.whole_system,
                  "For every login of this machine, not for one user: helpers of any user report, "
                  "and the kernel's input devices are read where that is allowed");
    AddSetting(run, "--idle-after", "presence.idle_after", "TIME");
    AddSetting(run, "--backend", "compute.backend", "auto|vulkan|cpu");
    AddSetting(run, "--device", "compute.device", "NAME|INDEX|TYPE");
    AddSetting(run, "--threads", "compute.threads", "COUNT");
    AddSetting(run, "--max-sequences", "compute.max_sequences", "COUNT");
    AddSetting(run, "--cache-size-gib", "limits.disk_gib", "GIB");
    run->add_option("--log-level", options_.log_level,
                    "trace, debug, info, warn, error or off [info]")
        ->option_text("LEVEL");
    run->footer("These options override the settings file (`fallow-agent limits`).\n\n" +
                std::string(kExitCodes));
  }

  void AddLooking() {
    AddJson(Add("status", "What the running agent is doing", StatusVerb));
    CLI::App* why = Add("why", "Why it works or does not, and what would change that", WhyVerb);
    why->add_option("--at", options_.at,
                    "Not now but then: 21:40, 9pm, 'yesterday 21:40', 'mon 21:40', '2h ago' or "
                    "'2026-07-30 21:40'")
        ->option_text("TIME");
    AddJson(why);
    CLI::App* log = Add("log", "When it began and stopped working, and why", LogVerb);
    log->add_option("--since", options_.since,
                    "From then on, as why's --at; also yesterday or 2026-07-30")
        ->option_text("TIME");
    log->add_option("-n,--lines", options_.max_entries,
                    "At most so many, the latest [20; with --since all]")
        ->option_text("COUNT")
        ->check(CLI::Range(1, 1'000'000));
    log->add_flag("--verify", options_.verify,
                  "Decide everything again from what was seen, and compare");
    AddJson(log);
    CLI::App* doctor =
        Add("doctor", "What this machine tells the agent, and what it cannot", DoctorVerb);
    AddSettingsPath(doctor);
    AddJson(doctor);
  }

  void AddKey(CLI::App* command) {
    command->add_option("KEY", options_.key, "One that `limits` shows")
        ->required()
        ->check([](const std::string& key) { return key.empty() ? "KEY is empty" : ""; });
  }

  void AddControl() {
    CLI::App* pause = Add("pause", "Stop working, for a time or until `resume`", PauseVerb);
    pause->add_option(
        "TIME", options_.duration,
        "30m, 2h, 1h30m, or until 18:00, until 'tomorrow 8:00'; without it until `resume`");
    Add("resume", "End a pause", ResumeVerb);
    CLI::App* limits = Add("limits", "Show and change the owner's settings", LimitsVerb);
    AddSettingsPath(limits);
    AddJson(limits);
    limits->add_flag("--defaults", options_.print_defaults,
                     "Print a settings file that explains itself");
    CLI::App* set = limits->add_subcommand("set",
                                           "Change one: `limits set quiet.level 40`; "
                                           "the value `unset` brings back its default");
    AddKey(set);
    set->add_option("VALUE", options_.value,
                    "As `limits` shows it, or `unset`; of lists steam,blender or 'mon-fri "
                    "19:00-07:00; sat,sun'")
        ->required();
    set->fallthrough();  // --settings may come after it too
    CLI::App* get = limits->add_subcommand("get", "Show the value of one, alone");
    AddKey(get);
    get->callback([this] { options_.shows_one = true; });
    get->fallthrough();
    CLI::App* reset = limits->add_subcommand("reset", "Bring back the default of one");
    AddKey(reset);
    reset->callback([this] { options_.value = "unset"; });
    reset->fallthrough();
    limits->require_subcommand(0, 1);
  }

  CLI::App app_{"Lends this machine's idle hours to a coordinator."};
  const std::string own_state_folder_ = StateDirectory() + "/agent";
  const std::string own_settings_path_ = ConfigDirectory() + "/agent.toml";
  VerbOptions options_;
  std::string helped_;  // the command whose help is asked for
  Verb verb_;
};

}  // namespace
}  // namespace fallow

int main(int argc, char** argv) {
  fallow::KeepHeapSmall();
  return fallow::CommandLine().Main(argc, argv);
}
