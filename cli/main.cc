// `fallow`: for submitters and operators.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/access.h"
#include "cli/commands.h"
#include "cli/http_api.h"
#include "cli/link.h"
#include "cli/records.h"
#include "cli/terminal_console.h"
#include "platform/paths.h"
#include "platform/system.h"

namespace fallow::cli {

namespace {

constexpr const char* kFooter = R"(Exit codes:
  0    done
  1    failed otherwise; the message says how
  2    misused: unknown option, missing argument
  3    no answer from the coordinator
  4    refused: the key or the coordinator's certificate is not the right one
  5    the job failed, expired or was cancelled
  6    the job completed, but some of its requests failed
  130  interrupted; a job that was submitted goes on

Environment: FALLOW_URL, FALLOW_API_KEY, FALLOW_CA go before what `fallow login` stored, options before both.)";

using Action = std::function<Result<ExitStatus>(Session)>;

struct CommandLine {
  AccessOptions access;
  bool as_json = false;
  Action action;                                                        // needs a coordinator…
  std::function<Result<ExitStatus>(MainLoop&, Console&)> local_action;  // …or sees to that itself
};

std::optional<std::string> Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<ExitStatus> LogIn(MainLoop& loop, Console& console, std::string link_text) {
  if (link_text == "-") std::getline(std::cin, link_text);
  FALLOW_ASSIGN_OR_RETURN(const SignInLink link, ParseSignInLink(link_text));
  Access access{.url = link.url, .key = link.key};
  FALLOW_ASSIGN_OR_RETURN(access.authority_pem, FetchPinnedAuthority(loop, link.url, link.pin));
  HttpApi api(loop, access);
  FALLOW_ASSIGN_OR_RETURN(const Json me, api.Call({.path = "/api/me"}));
  FALLOW_RETURN_IF_ERROR(StoreAccess(AccessPath(), access));
  console.Note(fmt::format("signed in to {} as {}; kept in {}", access.url,
                           Printable(TextOf(me, "role")), AccessPath()));
  return kExitDone;
}

Result<ExitStatus> LogOut(Console& console) {
  std::error_code error;
  const bool removed = std::filesystem::remove(AccessPath(), error);
  if (error)
    return Fail(ErrorCode::kInternal, fmt::format("{}: {}", AccessPath(), error.message()));
  console.Note(removed ? "signed out; the key itself stays valid until `fallow keys remove`"
                       : "was not signed in");
  return kExitDone;
}

CLI::App* AddVerb(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* verb = parent.add_subcommand(name, description);
  verb->fallthrough();
  return verb;
}

void AddOutputOptions(CLI::App* verb, OutputFiles& output) {
  verb->add_option("-o,--output", output.results, "Write the answers to this file")
      ->type_name("FILE");
  verb->add_option("--errors", output.errors, "Write the failed requests to this file")
      ->type_name("FILE");
}

void AddAccessVerbs(CLI::App& app, CommandLine& line) {
  auto* login = AddVerb(app, "login", "Sign in to a coordinator and remember it");
  auto link = std::make_shared<std::string>();
  login
      ->add_option("LINK", *link,
                   "The coordinator's sign-in link, in quotes; - reads it from standard input")
      ->required();
  login->callback([&line, link] {
    line.local_action = [link](MainLoop& loop, Console& console) {
      return LogIn(loop, console, *link);
    };
  });
  AddVerb(app, "logout", "Forget the coordinator")->callback([&line] {
    line.local_action = [](MainLoop&, Console& console) { return LogOut(console); };
  });
  AddVerb(app, "whoami", "Show whose key this is")->callback([&line] { line.action = ShowMe; });
}

void AddJobVerbs(CLI::App& app, CommandLine& line) {
  auto* submit =
      AddVerb(app, "submit",
              "Upload a batch file (OpenAI's JSON lines, chat or embeddings) and make a job of it");
  auto options = std::make_shared<SubmitOptions>();
  submit->add_option("FILE", options->batch_file, "The batch file")->required();
  submit
      ->add_option("--model", options->model,
                   "Run on this model: checked first, then set in every line of a copy. Without "
                   "it, lines name theirs")
      ->type_name("NAME");
  submit->add_flag("--wait", options->wait, "Watch the job to its end; -o and --errors imply it");
  AddOutputOptions(submit, options->output);
  submit->callback([&line, options] {
    line.action = [options](Session session) -> Result<ExitStatus> {
      if (!options->model.empty()) {
        FALLOW_RETURN_IF_ERROR(MakePrivateDirectory(CacheDirectory()));
        options->temporary_file =
            fmt::format("{}/submit-{}.jsonl", CacheDirectory(), NewSystemRandom()->Hex(8));
      }
      return Submit(session, *options);
    };
  });

  auto id = std::make_shared<std::string>();
  auto output = std::make_shared<OutputFiles>();
  auto limit = std::make_shared<std::uint64_t>(20);
  auto* jobs = AddVerb(app, "jobs", "List jobs, newest first, or show one");
  jobs->add_option("JOB", *id, "Show this job and what is wrong with it");
  jobs->add_option("--limit", *limit, "List so many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  jobs->callback([&line, id, limit] {
    line.action = [id, limit](Session session) {
      return id->empty() ? ListJobs(session, *limit) : ShowJob(session, *id);
    };
  });
  auto* wait = AddVerb(app, "wait", "Watch a job to its end");
  wait->add_option("JOB", *id)->required();
  AddOutputOptions(wait, *output);
  wait->callback([&line, id, output] {
    line.action = [id, output](Session session) { return WaitForJob(session, *id, *output); };
  });
  auto* results = AddVerb(app, "results", "Fetch an ended job's answers and errors");
  results->add_option("JOB", *id)->required();
  AddOutputOptions(results, *output);
  results->callback([&line, id, output] {
    if (output->results.empty() && output->errors.empty())
      throw CLI::RequiredError("-o FILE or --errors FILE");
    line.action = [id, output](Session session) { return FetchResults(session, *id, *output); };
  });
  auto* cancel = AddVerb(app, "cancel", "Stop a job; what is done stays");
  cancel->add_option("JOB", *id)->required();
  cancel->callback(
      [&line, id] { line.action = [id](Session session) { return CancelJob(session, *id); }; });
}

void AddModelVerbs(CLI::App& app, CommandLine& line) {
  auto name = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  auto* models =
      AddVerb(app, "models", "List the coordinator's models, add, check, show or remove");
  models->require_subcommand(0, 1);
  models->callback([&line, models] {
    if (models->get_subcommands().empty()) line.action = ListModels;
  });
  AddVerb(*models, "list", "List them")->callback([&line] { line.action = ListModels; });
  auto* add = AddVerb(*models, "add", "Upload a GGUF file (operators)");
  add->add_option("FILE", *file, "The GGUF file; of a split model its first part")->required();
  add->add_option("--name", *name,
                  "What requests call it; without it, the file's name without .gguf")
      ->type_name("NAME");
  add->callback([&line, file, name] {
    line.action = [file, name](Session session) { return AddModel(session, *file, *name); };
  });
  auto files = std::make_shared<std::vector<std::string>>();
  auto* check =
      AddVerb(*models, "check",
              "Show GGUF files' cards and why they would be refused, without coordinator");
  check->add_option("FILE", *files, "GGUF files; of a split model its first part")->required();
  check->callback([&line, files] {
    line.local_action = [&line, files](MainLoop&, Console& console) {
      return CheckModels(console, line.as_json, *files);
    };
  });
  auto* show = AddVerb(*models, "show", "Show one");
  show->add_option("NAME", *name)->required();
  show->callback([&line, name] {
    line.action = [name](Session session) { return ShowModel(session, *name); };
  });
  auto* remove = AddVerb(*models, "remove", "Remove one (operators)");
  remove->add_option("NAME", *name)->required();
  remove->callback([&line, name] {
    line.action = [name](Session session) { return RemoveModel(session, *name); };
  });
}

void AddFleetVerbs(CLI::App& app, CommandLine& line) {
  auto id = std::make_shared<std::string>();
  auto* devices = AddVerb(app, "devices", "List the devices (operators), or remove one");
  devices->require_subcommand(0, 1);
  devices->callback([&line, devices] {
    if (devices->get_subcommands().empty()) line.action = ListDevices;
  });
  auto* remove = AddVerb(*devices, "remove", "Forget a device; its key may not come back");
  remove->add_option("DEVICE", *id)->required();
  remove->callback(
      [&line, id] { line.action = [id](Session session) { return RemoveDevice(session, *id); }; });

  auto rotate = std::make_shared<bool>(false);
  auto* join = AddVerb(app, "join-link", "Show the link that lets a device join (operators)");
  join->add_flag("--rotate", *rotate, "Make a new one; the old one stops working");
  join->callback([&line, rotate] {
    line.action = [rotate](Session session) { return ShowJoinLink(session, *rotate); };
  });

  auto key = std::make_shared<NewKey>();
  auto* keys = AddVerb(app, "keys", "List API keys (operators), add or remove one");
  keys->require_subcommand(0, 1);
  keys->callback([&line, keys] {
    if (keys->get_subcommands().empty()) line.action = ListKeys;
  });
  auto* add = AddVerb(*keys, "add", "Make a key and show it, once");
  add->add_option("NAME", key->name, "Whose it is, for people")->required();
  add->add_option("--role", key->role)
      ->check(CLI::IsMember({"submitter", "operator"}))
      ->capture_default_str();
  add->add_option("--account", key->account,
                  "Share this account's jobs; without it, a new account");
  add->callback(
      [&line, key] { line.action = [key](Session session) { return AddKey(session, *key); }; });
  auto* revoke = AddVerb(*keys, "remove", "Revoke a key");
  revoke->add_option("KEY", *id)->required();
  revoke->callback(
      [&line, id] { line.action = [id](Session session) { return RemoveKey(session, *id); }; });
}

Result<ExitStatus> RunAction(const CommandLine& line, Console& console) {
  const auto loop = NewMainLoop();
  if (line.local_action) return line.local_action(*loop, console);
  FALLOW_ASSIGN_OR_RETURN(const std::optional<Access> stored, LoadAccess(AccessPath()));
  FALLOW_ASSIGN_OR_RETURN(const Access access, ResolveAccess(line.access, Environment, stored));
  HttpApi api(*loop, access);
  api.CatchInterrupts();
  const auto clock = NewSystemClock();
  return line.action(
      Session{.api = api, .console = console, .clock = *clock, .as_json = line.as_json});
}

int ShowError(const Error& error, const CommandLine& line, Console& console) {
  const std::string message = Printable(error.message);
  console.Note(
      line.as_json
          ? Json{{"error", {{"code", ErrorCodeName(error.code)}, {"message", message}}}}.dump()
          : "fallow: " + message);
  return ExitStatusOf(error.code);
}

int Main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Submits batches to a Fallow coordinator and looks after it.", "fallow");
  app.footer(kFooter);
  app.set_version_flag("--version", FALLOW_VERSION);
  app.require_subcommand(0, 1);
  app.add_flag("--json", line.as_json, "Print the result as JSON; errors too, on standard error");
  app.add_option("--url", line.access.url, "The coordinator: https://HOST:PORT")->type_name("URL");
  app.add_option("--key", line.access.key,
                 "The API key; others can see it in the process list, FALLOW_API_KEY not")
      ->type_name("KEY");
  app.add_option("--ca", line.access.authority_file,
                 "Trust this authority (PEM) instead of the system's")
      ->type_name("FILE");
  AddJobVerbs(app, line);
  AddModelVerbs(app, line);
  AddFleetVerbs(app, line);
  AddAccessVerbs(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitMisused;
  }
  if (!line.action && !line.local_action) {
    std::cerr << app.help();
    return kExitMisused;
  }
  if (const Status set_up = SetUpLog("fallow", "error"); !set_up.has_value()) return kExitFailed;
  TerminalConsole console;
  const auto status = RunAction(line, console);
  return status.has_value() ? *status : ShowError(status.error(), line, console);
}

}  // namespace

}  // namespace fallow::cli

int main(int argc, char** argv) {
  return fallow::cli::Main(argc, argv);
}
