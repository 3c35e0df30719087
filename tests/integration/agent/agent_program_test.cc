// The real agent with a real coordinator: joining, explaining itself, leaving, an owner who comes
// back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/agent/agent_verbs.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

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
  EXPECT_EQ(status.at("worker").at("state"), "stopped");
  EXPECT_FALSE(status.at("presence").empty());
}

TEST(AgentProgram, DoctorSaysThatNothingTellsPresenceAndWhatHelps) {
  const TemporaryFolder folder;
  const Finished doctor =
      RunProgram({.arguments = {"fallow-agent", "doctor", "--state-dir", folder.path() + "/agent",
                                "--settings", folder.path() + "/agent.toml"},
                  .environment = {"DISPLAY=", "WAYLAND_DISPLAY=", "XDG_SESSION_TYPE=",
                                  "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
                                  "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"}});
  EXPECT_EQ(doctor.exit_code, 1);
  EXPECT_THAT(doctor.output, HasSubstr("nothing tells whether somebody is at this machine"));
  EXPECT_THAT(doctor.output, HasSubstr("gamepads"));
}

TEST(AgentProgram, FollowsTheFirstSettingsThatItsOwnerEverMakes) {
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  const auto disk_bytes = [&] {
    const auto status = StatusOf(stack);
    return status.is_null() ? 0 : status.at("cache").at("max_bytes").get<std::uint64_t>();
  };
  ASSERT_TRUE(WaitUntil([&] { return disk_bytes() == 50ull << 30; }, 20s)) << stack.Logs();
  const std::string settings = stack.folder() + "/config/fallow/agent.toml";
  ASSERT_FALSE(std::filesystem::exists(settings));
  ASSERT_EQ(
      Agent(stack, {"limits", "set", "limits.disk_gib", "7", "--settings", settings}).exit_code, 0);
  EXPECT_TRUE(WaitUntil([&] { return disk_bytes() == 7ull << 30; }, 20s)) << stack.Logs();
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

}  // namespace
}  // namespace fallow::testing
