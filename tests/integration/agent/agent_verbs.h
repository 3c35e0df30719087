// The commands of fallow-agent against the agent of a stack.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/stack.h"

namespace fallow::testing {

inline const std::string kExample = std::string(FALLOW_SOURCE_DIR) + "/examples/field-normalizer/";

inline Finished Agent(const Stack& stack, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fallow-agent");
  return RunProgram({.arguments = std::move(arguments),
                     .environment = {},
                     .log_path = stack.folder() + "/verb.log"});
}

// The running agent's status; null if it does not answer.
inline nlohmann::json StatusOf(const Stack& stack) {
  const Finished status =
      Agent(stack, {"status", "--json", "--state-dir", stack.folder() + "/agent"});
  return status.exit_code == 0 ? nlohmann::json::parse(status.output) : nlohmann::json();
}

inline std::string StateOf(const Stack& stack) {
  const auto status = StatusOf(stack);
  return status.is_null() ? "" : status.at("state").get<std::string>();
}

// A stack whose agent works on the long demo batch; the job's id.
inline std::string StartWork(Stack& stack) {
  stack.StartCoordinator();
  stack.LogIn();
  stack.AddDemoModel();
  stack.StartAgent();
  const Finished submitted = stack.Run({"--json", "submit", kExample + "batch-2000.jsonl"});
  EXPECT_EQ(submitted.exit_code, 0) << stack.Logs();
  EXPECT_TRUE(WaitUntil([&] { return StateOf(stack) == "working"; }, std::chrono::seconds(60)))
      << stack.Logs() << Agent(stack, {"log", "--state-dir", stack.folder() + "/agent"}).output;
  return nlohmann::json::parse(submitted.output).at("id");
}

}  // namespace fallow::testing
