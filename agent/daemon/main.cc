// fallow-agent: lends this machine's idle hours to a coordinator.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/join.h"
#include "agent/daemon/join_link.h"
#include "agent/daemon/status_report.h"
#include "base/log.h"
#include "platform/local_socket.h"
#include "platform/paths.h"

namespace fallow {
namespace {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotJoined = 3,
  kExitRefused = 4,
  kExitUnreachable = 5,
  kExitNotRunning = 6,
};

constexpr const char* kFooter =
    "Exit codes:\n"
    "  0  done\n"
    "  1  failed for another reason than those below\n"
    "  2  wrong usage\n"
    "  3  this agent has not joined a coordinator\n"
    "  4  refused: wrong pin, token not valid, or this agent is too old\n"
    "  5  the coordinator cannot be reached\n"
    "  6  no agent is running for this state directory";

struct Options {
  std::string state_folder = StateDirectory() + "/agent";
  std::string log_level = "info";
  std::string link;
  bool json = false;
  DaemonOptions daemon;
  std::int64_t idle_after_ms = IdleSettings{}.idle_after.count();
  std::string backend = "auto";
  std::string device;
  std::uint32_t threads = 0;
  std::uint32_t max_sequences = 32;
  double cache_size_gib = 50;
};

int FailWith(const Error& error, int code) {
  std::fprintf(stderr, "fallow-agent: %s\n", error.message.c_str());
  return code;
}

int ExitCodeOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kUnimplemented:
      return kExitRefused;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kExitUnreachable;
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

int JoinVerb(const Options& options) {
  const auto link = ParseJoinLink(options.link);
  if (!link) return FailWith(link.error(), kExitUsage);
  const StateFolder folder(options.state_folder);
  const auto membership = Join(*link, folder, FALLOW_VERSION);
  if (!membership) return FailWith(membership.error(), ExitCodeOf(membership.error()));
  fmt::print("joined {} as {}\n", membership->coordinator_url, membership->device.value);
  if (CallLocal(folder.socket_path(), kStatusCall)) {
    fmt::print("an agent is already running: restart it, so that it works for this coordinator\n");
  } else {
    fmt::print("start it with `fallow-agent run`\n");
  }
  return kExitOk;
}

int RunVerb(Options options) {
  if (auto status = SetUpLog("fallow-agent", options.log_level); !status)
    return FailWith(status.error(), kExitUsage);
  options.daemon.state_folder = options.state_folder;
  options.daemon.idle.idle_after = std::chrono::milliseconds(options.idle_after_ms);
  options.daemon.cache_bytes = static_cast<std::uint64_t>(options.cache_size_gib * (1u << 30));
  options.daemon.agent_version = FALLOW_VERSION;
  auto& command = options.daemon.worker_command;
  command = {ProgramDirectory() + "/fallow-worker",
             "--backend",
             options.backend,
             "--threads",
             fmt::to_string(options.threads),
             "--max-sequences",
             fmt::to_string(options.max_sequences),
             "--log-level",
             options.log_level};
  // Nobody is there to give way to.
  if (options.daemon.idle.dedicated) command.emplace_back("--foreground");
  if (!options.device.empty()) command.insert(command.end(), {"--device", options.device});
  const Status status = RunDaemon(options.daemon);
  if (status) return kExitOk;
  return FailWith(status.error(),
                  status.error().code == ErrorCode::kNotFound ? kExitNotJoined : kExitFailed);
}

int StatusVerb(const Options& options) {
  const StateFolder folder(options.state_folder);
  const auto answer = CallLocal(folder.socket_path(), kStatusCall);
  if (!answer) {
    const auto membership = folder.LoadMembership();
    if (!membership) return FailWith(membership.error(), kExitNotJoined);
    if (answer.error().code == ErrorCode::kDeadlineExceeded) {
      return FailWith(Error{ErrorCode::kDeadlineExceeded,
                            "an agent runs but does not answer: " + answer.error().message},
                      kExitFailed);
    }
    return FailWith(
        {ErrorCode::kUnavailable,
         fmt::format(
             "no agent is running for {} (joined to {} as {}): start it with `fallow-agent run`",
             folder.path(), membership->coordinator_url, membership->device.value)},
        kExitNotRunning);
  }
  if (options.json) {
    fmt::print("{}", *answer);
    return kExitOk;
  }
  const auto text = StatusText(*answer);
  if (!text) return FailWith(text.error(), kExitFailed);
  fmt::print("{}", *text);
  return kExitOk;
}

int LeaveVerb(const Options& options) {
  const StateFolder folder(options.state_folder);
  const auto membership = folder.LoadMembership();
  if (!membership && membership.error().code == ErrorCode::kNotFound) {
    return FailWith(membership.error(), kExitNotJoined);
  }
  const bool was_running = CallLocal(folder.socket_path(), kStopCall).has_value();
  if (auto status = folder.Forget(); !status) return FailWith(status.error(), kExitFailed);
  fmt::print("left{}{}; models stay in {} until you remove them\n",
             membership ? " " + membership->coordinator_url : "",
             was_running ? ", and the agent is stopping" : "", folder.models_path());
  return kExitOk;
}

int Main(int argc, char** argv) {
  CLI::App app("Lends this machine's idle hours to a coordinator.");
  app.name("fallow-agent");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", FALLOW_VERSION);
  Options options;
  std::function<int()> verb;

  const auto with_state = [&](CLI::App* command) {
    command->add_option("--state-dir", options.state_folder, "Where this agent keeps everything")
        ->option_text("DIR [" + options.state_folder + "]");
    return command;
  };
  CLI::App* join =
      with_state(app.add_subcommand("join", "Make this machine a device of a coordinator"));
  join->add_option("LINK", options.link, "https://HOST:PORT/#join=TOKEN&pin=HEX, in quotes")
      ->required();
  join->callback([&] { verb = [&] { return JoinVerb(options); }; });

  CLI::App* run =
      with_state(app.add_subcommand("run", "Work whenever the machine is free, until stopped"));
  run->add_flag("--dedicated", options.daemon.idle.dedicated,
                "A machine without an owner: always free");
  run->add_option("--idle-after", options.idle_after_ms,
                  "Free after so long without input, as 45s, 3m or 1h [3m]")
      ->option_text("TIME")
      ->transform(CLI::AsNumberWithUnit(
          std::map<std::string, std::int64_t>{
              {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}},
          CLI::AsNumberWithUnit::UNIT_REQUIRED));
  run->add_option("--backend", options.backend, "What to compute on [auto]")
      ->option_text("auto|vulkan|cpu")
      ->check(CLI::IsMember({"auto", "vulkan", "cpu"}));
  run->add_option("--device", options.device,
                  "Vulkan device (`fallow-worker --list-devices` shows them)")
      ->option_text("NAME|INDEX|TYPE");
  run->add_option("--threads", options.threads, "Of the CPU backend [one per processor]")
      ->option_text("COUNT");
  run->add_option("--max-sequences", options.max_sequences, "Requests in the batch at once [32]")
      ->option_text("COUNT")
      ->check(CLI::Range(1, 1024));
  run->add_option("--cache-size-gib", options.cache_size_gib, "Models kept on disk [50]")
      ->option_text("GIB")
      ->check(CLI::Range(0.001, 1e6));
  run->add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off [info]")
      ->option_text("LEVEL");
  run->callback([&] { verb = [&] { return RunVerb(options); }; });

  CLI::App* status =
      with_state(app.add_subcommand("status", "What the running agent is doing, and why"));
  status->add_flag("--json", options.json, "For programs");
  status->callback([&] { verb = [&] { return StatusVerb(options); }; });

  CLI::App* leave =
      with_state(app.add_subcommand("leave", "Stop the agent and forget its coordinator and key"));
  leave->callback([&] { verb = [&] { return LeaveVerb(options); }; });

  app.add_subcommand("help", "Show this help")->callback([&] {
    verb = [&] {
      fmt::print("{}", app.help());
      return kExitOk;
    };
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return verb();
}

}  // namespace
}  // namespace fallow

int main(int argc, char** argv) {
  return fallow::Main(argc, argv);
}
