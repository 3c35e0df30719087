// fallow-session: tells the agent whether somebody uses this login.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "agent/session/daemon_link.h"
#include "agent/session/open_sources.h"
#include "agent/session/session_reporter.h"
#include "agent/session/source_plan.h"
#include "agent/session/source_report.h"
#include "base/log.h"
#include "platform/background.h"
#include "platform/heap.h"
#include "platform/paths.h"
#include "platform/standard_streams.h"
#include "platform/system.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNobodyTells = 3,
};

constexpr const char* kFooter =
    "Exit codes:\n"
    "  0  done: ended by a signal, or --once and a source tells of presence\n"
    "  1  failed for another reason than those below\n"
    "  2  wrong usage\n"
    "  3  --once, and no source can tell whether somebody is there";

constexpr const char* kSystemSocket = "/run/fallow/session.sock";
// The daemon answers a goodbye by hanging up; one that hangs keeps no logout waiting.
constexpr milliseconds kGoodbyePatience{500};
// Some sources know only what their servers told since they were opened.
constexpr milliseconds kOnceWait{300};

struct Options {
  std::string socket;
  std::string log_level = "info";
  bool once = false;
  bool json = false;
  bool with_parent = false;
};

int FailWith(const Error& error, int code) {
  std::fprintf(stderr, "fallow-session: %s\n", error.message.c_str());
  return code;
}

std::vector<std::string> SocketPaths(const Options& options) {
  if (!options.socket.empty()) return {options.socket};
  return {StateDirectory() + "/agent/session.sock", kSystemSocket};
}

int TellOnce(const Options& options) {
  const LoginEnvironment login = ReadLoginEnvironment();
  const SourcePlan plan = PlanSources(login);
  const auto clock = NewSystemClock();
  const auto loop = NewMainLoop();
  PresenceSet presence(*clock, PresenceKinds(*loop, login, plan));
  SignalSet signals(*clock, SignalKinds(*loop, login, plan));
  (void)presence.Read();
  (void)signals.Read();
  const auto timer = loop->After(kOnceWait, [&] { loop->Stop(); });
  loop->Run();
  const auto readings = presence.Read();
  const auto told = signals.Read();
  fmt::print("{}{}", options.json ? SourceJson(readings, told) : SourceText(readings, told),
             options.json ? "\n" : "");
  return std::ranges::any_of(readings, TellsOfPresence) ? kExitOk : kExitNobodyTells;
}

int Report(const Options& options) {
  const LoginEnvironment login = ReadLoginEnvironment();
  const SourcePlan plan = PlanSources(login);
  const auto clock = NewSystemClock();
  const auto loop = NewMainLoop();
  SessionReporter reporter(*loop, *clock,
                           {.session = ReportableText(login.session),
                            .session_type = ReportableText(login.session_type),
                            .desktop = ReportableText(login.desktop)},
                           PresenceKinds(*loop, login, plan), SignalKinds(*loop, login, plan),
                           {.at_rest = TrimResidentMemory});
  DaemonLink link(*loop, *clock, reporter,
                  [&loop, paths = SocketPaths(options)] { return ConnectToFirst(*loop, paths); });
  loop->OnTerminate([&] { link.End(kGoodbyePatience, [&] { loop->Stop(); }); });
  link.Start();
  loop->Run();
  return kExitOk;
}

int Main(int argc, char** argv) {
  KeepHeapSmall();
  CLI::App app("Tells the agent whether somebody uses this login; one runs in each.");
  app.name("fallow-session");
  app.footer(kFooter);
  app.set_version_flag("--version", FALLOW_VERSION);
  Options options;
  app.add_option("--socket", options.socket,
                 "Where the agent listens [the first that serves of " + StateDirectory() +
                     "/agent/session.sock and " + kSystemSocket + "]")
      ->option_text("PATH");
  app.add_flag("--once", options.once, "Print what each source says now, and end");
  app.add_flag("--json", options.json, "With --once: for programs")->needs("--once");
  app.add_flag("--with-parent", options.with_parent, "End with the process that started this one");
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off [info]")
      ->option_text("LEVEL");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (auto status = SetUpLog("fallow-session", options.log_level); !status) {
    return FailWith(status.error(), kExitUsage);
  }
  if (options.with_parent) {
    if (auto status = DieWithParent(); !status) return FailWith(status.error(), kExitFailed);
  }
  return options.once ? TellOnce(options) : Report(options);
}

}  // namespace
}  // namespace fallow

int main(int argc, char** argv) {
  return fallow::Main(argc, argv);
}
