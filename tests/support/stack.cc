#include "tests/support/stack.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace fallow::testing {
namespace {

constexpr std::size_t kLogTailBytes = 3000;

std::string Tail(const std::string& path) {
  const std::string text = ReadFile(path);
  return text.size() <= kLogTailBytes ? text : text.substr(text.size() - kLogTailBytes);
}

}  // namespace

Stack::Stack(StackOptions options) : options_(std::move(options)) {}

void Stack::StartCoordinator() {
  const std::string ready = At("ready.json");
  std::filesystem::remove(ready);
  coordinator_ = std::make_unique<Program>(
      ProgramOptions{.arguments = {"fallow-coordinator", "--data-dir", At("coordinator"),
                                   "--listen", listen_, "--ready-file", ready},
                     .environment = {},
                     .log_path = At("coordinator.log")});
  ASSERT_TRUE(WaitUntil([&] { return !ReadFile(ready).empty() || !coordinator_->running(); },
                        std::chrono::seconds(60)) &&
              coordinator_->running())
      << "the coordinator did not start\n"
      << Logs();
  const auto json = nlohmann::json::parse(ReadFile(ready));
  listen_ = fmt::format("127.0.0.1:{}", json.at("port").get<int>());
  if (sign_in_link_.empty()) {
    sign_in_link_ = json.at("sign_in_link").get<std::string>();
    join_link_ = json.at("join_link").get<std::string>();
  }
}

void Stack::StartAgent() {
  const std::string state = At("agent");
  if (!std::filesystem::exists(state)) {
    const Finished joined =
        RunProgram({.arguments = {"fallow-agent", "join", join_link_, "--state-dir", state},
                    .environment = {},
                    .log_path = At("agent.log")});
    ASSERT_EQ(joined.exit_code, 0) << Logs();
  }
  std::vector<std::string> arguments = {"fallow-agent", "run",       "--state-dir",
                                        state,          "--backend", options_.backend};
  if (options_.dedicated) arguments.push_back("--dedicated");
  arguments.insert(arguments.end(), options_.agent_arguments.begin(),
                   options_.agent_arguments.end());
  std::vector<std::string> environment = options_.agent_environment;
  environment.push_back("XDG_CONFIG_HOME=" +
                        At("config"));  // not the settings of who runs the test
  agent_ = std::make_unique<Program>(ProgramOptions{
      .arguments = arguments, .environment = environment, .log_path = At("agent.log")});
}

void Stack::LogIn() {
  const Finished finished = Run({"login", sign_in_link_});
  ASSERT_EQ(finished.exit_code, 0) << finished.output << Logs();
}

void Stack::AddDemoModel() {
  const std::string model =
      std::string(FALLOW_SOURCE_DIR) + "/examples/field-normalizer/field-normalizer-q8_0.gguf";
  const Finished finished = Run({"models", "add", model, "--name", "field-normalizer"});
  ASSERT_EQ(finished.exit_code, 0) << finished.output << Logs();
}

Finished Stack::Run(std::vector<std::string> fallow_arguments, std::chrono::seconds timeout) {
  fallow_arguments.insert(fallow_arguments.begin(), "fallow");
  return RunProgram({.arguments = std::move(fallow_arguments),
                     .environment = {"XDG_CONFIG_HOME=" + At("config")},
                     .log_path = At("cli.log")},
                    timeout);
}

std::string Stack::Logs() const {
  std::string text;
  for (const char* name : {"coordinator.log", "agent.log", "cli.log"}) {
    text += fmt::format("--- {}\n{}\n", name, Tail(At(name)));
  }
  return text;
}

}  // namespace fallow::testing
