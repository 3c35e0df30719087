// fallow-coordinator: the server. Without a subcommand it serves until SIGINT or SIGTERM.
//
// Exit status: 0 done, 1 failed, 2 misused.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "coordinator/daemon/coordinator_process.h"
#include "coordinator/daemon/operator_commands.h"
#include "platform/paths.h"
#include "platform/system.h"

namespace {

using fallow::DataFolder;
using Json = nlohmann::ordered_json;

struct Options {
  std::string data_folder = fallow::StateDirectory() + "/coordinator";
  std::string listen = "127.0.0.1:8443";
  std::vector<std::string> hosts;
  std::string log_level = "info";
  std::string ready_file;
  std::string key_name, key_role = "submitter";
  bool json = false;
};

int Failed(const fallow::Error& error) {
  fmt::print(stderr, "fallow-coordinator: {}\n", error.message);
  return 1;
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json LinksJson(const fallow::CoordinatorLinks& links) {
  return {{"url", links.url},
          {"port", links.port},
          {"sign_in_link", TextOrNull(links.sign_in_link.value_or(""))},
          {"join_link", links.join_link},
          {"ca_file", links.ca_file},
          {"pid", fallow::ProcessId()}};
}

void Greet(const Options& options, const fallow::CoordinatorLinks& links) {
  if (options.json) {
    fmt::print("{}\n", LinksJson(links).dump());
  } else {
    fmt::print("fallow-coordinator {} serves {}\n", FALLOW_VERSION, links.url);
    if (links.first_start && links.sign_in_link.has_value()) {
      fmt::print(
          "\nThis is its first start. It made a certificate authority and an operator's key.\n"
          "  sign in    {}\n"
          "             in a browser (which warns of a certificate it does not know: it is this "
          "coordinator's own),\n"
          "             or: fallow login '{}'\n"
          "  add a PC   fallow-agent join '{}'\n",
          *links.sign_in_link, *links.sign_in_link, links.join_link);
    }
    fmt::print("\nThe links again: fallow-coordinator links --data-dir {}\n", options.data_folder);
    if (links.url.starts_with("https://127."))
      fmt::print(
          "Only this machine can reach it; for others start it with --listen 0.0.0.0:8443 --host "
          "NAME.\n");
  }
  std::fflush(stdout);
}

int Serve(const Options& options) {
  const auto listen = fallow::ListenAddress::Parse(options.listen);
  if (!listen.has_value()) {
    Failed(listen.error());
    return 2;
  }
  const DataFolder folder{options.data_folder};
  const auto loop = fallow::NewMainLoop();
  const auto clock = fallow::NewSystemClock();
  const auto random = fallow::NewSystemRandom();
  auto process = fallow::StartCoordinator(
      *loop, *clock, *random,
      {.folder = folder, .listen = *listen, .hosts = options.hosts, .version = FALLOW_VERSION});
  if (!process.has_value()) return Failed(process.error());

  bool stopping = false;
  loop->OnTerminate([&] {
    if (std::exchange(stopping, true)) return;
    LOG_INFO("coordinator: stopping");
    (*process)->Stop([&] { loop->Stop(); });
  });
  const std::string ready = LinksJson((*process)->links()).dump(2) + "\n";
  for (const std::string& path : {folder.address(), options.ready_file}) {
    if (path.empty()) continue;
    if (const auto status = fallow::WriteFileAtomically(path, ready); !status.has_value())
      return Failed(status.error());
  }
  Greet(options, (*process)->links());
  loop->Run();
  process->reset();
  return 0;
}

int ShowLinks(const Options& options) {
  const auto links = fallow::ShowLinks({options.data_folder});
  if (!links.has_value()) return Failed(links.error());
  if (options.json) {
    fmt::print("{}\n", Json{{"url", links->url},
                            {"sign_in_link", TextOrNull(links->sign_in_link)},
                            {"join_link", links->join_link},
                            {"running", links->running}}
                           .dump());
    return 0;
  }
  fmt::print("sign in    {}\nadd a PC   fallow-agent join '{}'\n",
             links->sign_in_link.empty()
                 ? fmt::format("the first operator's key is gone; make another: fallow-coordinator "
                               "key create --name NAME --role operator --data-dir {}",
                               options.data_folder)
                 : links->sign_in_link,
             links->join_link);
  if (!links->running)
    fmt::print("(no coordinator runs on {} now; these are the links of its last run)\n",
               options.data_folder);
  return 0;
}

int CreateKey(const Options& options) {
  const auto role =
      options.key_role == "operator" ? fallow::Role::kOperator : fallow::Role::kSubmitter;
  const auto key = fallow::CreateKey({options.data_folder}, options.key_name, role);
  if (!key.has_value()) return Failed(key.error());
  if (options.json) {
    fmt::print("{}\n", Json{{"id", key->id},
                            {"secret", key->secret},
                            {"sign_in_link", TextOrNull(key->sign_in_link)}}
                           .dump());
  } else {
    fmt::print("{}\n", key->secret);
    if (!key->sign_in_link.empty()) fmt::print("sign in    {}\n", key->sign_in_link);
    fmt::print("Keep it now: it is not shown again.\n");
  }
  return 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  Options options;
  CLI::App app(
      "The Fallow coordinator: takes batches, leases work to devices, keeps results, serves the "
      "dashboard.");
  app.set_version_flag("--version", FALLOW_VERSION);
  app.footer(
      "Without a subcommand it serves until SIGINT or SIGTERM.\n\n"
      "Exit codes:\n  0  done\n  1  failed; the message says how\n  2  wrong usage");
  app.add_option("--data-dir", options.data_folder, "Where everything is kept")
      ->option_text(fmt::format("DIR [{}]", options.data_folder));
  app.add_option("--log-level", options.log_level, "trace, debug, info, warn, error or off [info]")
      ->option_text("LEVEL");
  app.add_flag("--json", options.json, "Print JSON");
  app.add_option("--listen", options.listen, "Where to listen; port 0 takes a free one")
      ->option_text(fmt::format("ADDRESS:PORT [{}]", options.listen));
  app.add_option("--host", options.hosts,
                 "A name or address it is reached by; may be repeated, links use the first")
      ->option_text("NAME");
  app.add_option("--ready-file", options.ready_file,
                 "Written with url, links and pid as JSON once it serves")
      ->option_text("FILE");

  CLI::App* links = app.add_subcommand("links", "Show the sign-in link and the join link again");
  CLI::App* key = app.add_subcommand("key", "API keys");
  key->require_subcommand(1);
  CLI::App* create =
      key->add_subcommand("create", "Make a key, whether or not the coordinator runs");
  create->add_option("--name", options.key_name, "The person or program it is for")
      ->required()
      ->option_text("NAME REQUIRED");
  create->add_option("--role", options.key_role, "What it may do [submitter]")
      ->check(CLI::IsMember({"submitter", "operator"}))
      ->option_text("submitter|operator");
  for (CLI::App* command : {links, key, create}) command->fallthrough();

  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (const auto status = fallow::SetUpLog("fallow-coordinator", options.log_level);
      !status.has_value()) {
    Failed(status.error());
    return 2;
  }
  if (links->parsed()) return ShowLinks(options);
  if (create->parsed()) return CreateKey(options);
  return Serve(options);
}
