// The real agent with a real coordinator: joining, explaining itself, leaving, an owner who comes
// back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/platform/server_process.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const std::string kExample = std::string(FALLOW_SOURCE_DIR) + "/examples/field-normalizer/";

Finished Agent(const Stack& stack, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "fallow-agent");
  return RunProgram({.arguments = std::move(arguments),
                     .environment = {},
                     .log_path = stack.folder() + "/verb.log"});
}

// The running agent's status; null if it does not answer.
nlohmann::json StatusOf(const Stack& stack) {
  const Finished status =
      Agent(stack, {"status", "--json", "--state-dir", stack.folder() + "/agent"});
  return status.exit_code == 0 ? nlohmann::json::parse(status.output) : nlohmann::json();
}

std::string StateOf(const Stack& stack) {
  const auto status = StatusOf(stack);
  return status.is_null() ? "" : status.at("state").get<std::string>();
}

// A stack whose agent works on the long demo batch; the job's id.
std::string StartWork(Stack& stack) {
  stack.StartCoordinator();
  stack.LogIn();
  stack.AddDemoModel();
  stack.StartAgent();
  const Finished submitted = stack.Run({"--json", "submit", kExample + "batch-2000.jsonl"});
  EXPECT_EQ(submitted.exit_code, 0) << stack.Logs();
  EXPECT_TRUE(WaitUntil([&] { return StateOf(stack) == "working"; }, 60s)) << stack.Logs();
  return nlohmann::json::parse(submitted.output).at("id");
}

TEST(AgentProgram, JoinsOnlyTheCoordinatorOfItsLink) {
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  const std::string state = stack.folder() + "/joiner";
  const auto join = [&](const std::string& link) {
    std::filesystem::remove(stack.folder() + "/verb.log");
    return Agent(stack, {"join", link, "--state-dir", state}).exit_code;
  };
  const auto said = [&] { return ReadFile(stack.folder() + "/verb.log"); };
  const std::string link = stack.join_link();

  std::string wrong_pin = link;
  wrong_pin.back() = wrong_pin.back() == '0' ? '1' : '0';
  EXPECT_EQ(join(wrong_pin), 4);
  EXPECT_THAT(said(), HasSubstr("not the one this join link was made for"));

  std::string wrong_token = link;
  wrong_token.replace(wrong_token.find("join=") + 5, 4, "xxxx");
  EXPECT_EQ(join(wrong_token), 4);
  EXPECT_THAT(said(), HasSubstr("token"));

  EXPECT_EQ(join("https://127.0.0.1:1/" + link.substr(link.find('#'))), 5);
  EXPECT_EQ(join("https://127.0.0.1:1/"), 2);
  EXPECT_EQ(Agent(stack, {"status", "--state-dir", state}).exit_code, 3)
      << "no failed join leaves anything";

  EXPECT_EQ(join(link), 0) << said();
  EXPECT_EQ(Agent(stack, {"status", "--state-dir", state}).exit_code, 6);
  EXPECT_EQ(Agent(stack, {"leave", "--state-dir", state}).exit_code, 0);
  EXPECT_EQ(Agent(stack, {"leave", "--state-dir", state}).exit_code, 3);
}

TEST(AgentProgram, CountsAsInUseAndSaysSoWhenNothingTellsPresence) {
  Stack stack(
      {.dedicated = false,
       .agent_environment = {"DISPLAY=", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"}});
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "in_use"; }, 20s)) << stack.Logs();
  const auto status = StatusOf(stack);
  EXPECT_THAT(status.at("reason").get<std::string>(), HasSubstr("counted as in use"));
  EXPECT_THAT(status.at("reason").get<std::string>(), HasSubstr("DISPLAY is not set"));
  EXPECT_EQ(status.at("worker").at("state"), "stopped");
  EXPECT_EQ(status.at("presence").size(), 2u);
}

TEST(AgentProgram, OneStateFolderHasOneAgent) {
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "idle"; }, 20s)) << stack.Logs();
  EXPECT_EQ(
      Agent(stack, {"run", "--dedicated", "--state-dir", stack.folder() + "/agent"}).exit_code, 1);
  EXPECT_EQ(StateOf(stack), "idle");
}

TEST(AgentProgram, GivesItsLeasesBackWhenTerminated) {
  Stack stack({.agent_arguments = {"--threads", "1"}});
  const std::string job = StartWork(stack);
  EXPECT_EQ(stack.agent().Terminate(), 0) << stack.Logs();
  EXPECT_EQ(ReadFile(stack.folder() + "/agent/leases.json"), "[]\n");
  const auto left = nlohmann::json::parse(stack.Run({"--json", "jobs", job}).output);
  EXPECT_EQ(left.at("progress").at("devices"), 0);
  EXPECT_LT(left.at("request_counts").at("completed"), 2000);
}

TEST(AgentProgram, GoesOnAfterItsWorkerIsKilled) {
  Stack stack({.agent_arguments = {"--threads", "1"}});
  const std::string job = StartWork(stack);
  const pid_t worker = StatusOf(stack).at("worker").at("process_id");
  ASSERT_GT(worker, 0);
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  const Finished waited = stack.Run({"wait", job}, 120s);
  EXPECT_EQ(waited.exit_code, 0) << stack.Logs();
  EXPECT_EQ(StatusOf(stack).at("worker").at("losses"), 1);
}

// The first idea of the product: somebody touches the mouse and has the machine.
TEST(AgentProgram, GivesTheMachineBackWhenTheOwnerTouchesTheMouse) {
  const std::string xvfb = FindProgram("Xvfb");
  const std::string xdotool = FindProgram("xdotool");
  if (xvfb.empty() || xdotool.empty()) GTEST_SKIP() << "Xvfb or xdotool is not installed";
  ServerProcess server({xvfb, "-displayfd", "3", "-screen", "0", "640x480x24", "-nolisten", "tcp"});
  const std::string display = ":" + server.AwaitAnnouncement();
  ASSERT_NE(display, ":") << "Xvfb did not start";

  Stack stack({.agent_arguments = {"--idle-after", "2s", "--threads", "1"},
               .dedicated = false,
               .agent_environment = {"DISPLAY=" + display,
                                     "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"}});
  const std::string job = StartWork(stack);
  const std::string touch =
      fmt::format("DISPLAY={} timeout 10 {} mousemove 33 44", display, xdotool);
  ASSERT_EQ(std::system(touch.c_str()), 0);
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "in_use"; }, 10s)) << stack.Logs();
  ASSERT_TRUE(
      WaitUntil([&] { return StatusOf(stack).at("worker").at("state") == "stopped"; }, 10s));
  ASSERT_TRUE(WaitUntil([&] { return StatusOf(stack).at("leases").empty(); }, 10s)) << stack.Logs();
  const double latency_ms = StatusOf(stack).at("worker").at("last_stop_latency_ms");
  std::printf("stop latency %.2f ms\n", latency_ms);
  EXPECT_LT(latency_ms, 1000)
      << "SIGKILL after 100 ms bounds it; the rest is the test machine's load";

  // And when nobody touches it any more, the job goes on to its end.
  const Finished waited = stack.Run({"wait", job}, 120s);
  EXPECT_EQ(waited.exit_code, 0) << stack.Logs();
}

}  // namespace
}  // namespace fallow::testing
