// The real agent with a real coordinator: joining, explaining itself, leaving, an owner who comes
// back.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/agent/agent_verbs.h"
#include "tests/integration/platform/played_service.h"
#include "tests/integration/platform/private_bus.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A runtime folder of the test's own in memory, where there is memory.
class TemporaryRuntimeFolder {
 public:
  TemporaryRuntimeFolder() { setenv("XDG_RUNTIME_DIR", folder_.path().c_str(), 1); }
  ~TemporaryRuntimeFolder() {
    before_.empty() ? unsetenv("XDG_RUNTIME_DIR") : setenv("XDG_RUNTIME_DIR", before_.c_str(), 1);
  }
  TemporaryRuntimeFolder(const TemporaryRuntimeFolder&) = delete;
  TemporaryRuntimeFolder& operator=(const TemporaryRuntimeFolder&) = delete;

 private:
  const std::string before_ = std::getenv("XDG_RUNTIME_DIR") ? std::getenv("XDG_RUNTIME_DIR") : "";
  const TemporaryFolder folder_{"/dev/shm"};
};

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
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "in_use"; }, 60s)) << stack.Logs();
  const auto status = StatusOf(stack);
  EXPECT_THAT(status.at("reason").get<std::string>(), HasSubstr("counted as in use"));
  EXPECT_EQ(status.at("worker").at("state"), "stopped");
  EXPECT_FALSE(status.at("presence").empty());
  const std::string said = ReadFile(stack.folder() + "/agent.log");
  EXPECT_THAT(said, HasSubstr("agent: does not work yet: "));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("settings of the worker changed")));
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
  ASSERT_TRUE(WaitUntil([&] { return disk_bytes() == 50ull << 30; }, 60s)) << stack.Logs();
  const std::string settings = stack.folder() + "/config/fallow/agent.toml";
  ASSERT_FALSE(std::filesystem::exists(settings));
  const auto limit = [&](const char* gib) {
    return Agent(stack, {"limits", "set", "limits.disk_gib", gib, "--settings", settings})
        .exit_code;
  };
  ASSERT_EQ(limit("7"), 0);
  EXPECT_TRUE(WaitUntil([&] { return disk_bytes() == 7ull << 30; }, 60s)) << stack.Logs();
  std::filesystem::remove_all(stack.folder() + "/config/fallow");
  EXPECT_TRUE(WaitUntil([&] { return disk_bytes() == 50ull << 30; }, 60s)) << stack.Logs();
  ASSERT_EQ(limit("9"), 0);
  EXPECT_TRUE(WaitUntil([&] { return disk_bytes() == 9ull << 30; }, 60s))
      << "in a folder that was made anew\n"
      << stack.Logs();
}

TEST(AgentProgram, OneStateFolderHasOneAgent) {
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "idle"; }, 60s)) << stack.Logs();
  EXPECT_EQ(
      Agent(stack, {"run", "--dedicated", "--state-dir", stack.folder() + "/agent"}).exit_code, 1);
  EXPECT_EQ(StateOf(stack), "idle");
}

TEST(AgentProgram, OneThatDoesNotStopIsNotLeftAlone) {
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(WaitUntil([&] { return !StateOf(stack).empty(); }, 60s)) << stack.Logs();
  const std::vector<std::string> leave = {"leave", "--state-dir", stack.folder() + "/agent"};
  ASSERT_EQ(kill(stack.agent().process_id(), SIGSTOP), 0);
  EXPECT_EQ(Agent(stack, leave).exit_code, 1) << "it would work on for whom nobody knows";
  ASSERT_EQ(kill(stack.agent().process_id(), SIGCONT), 0);
  EXPECT_EQ(Agent(stack, leave).exit_code, 0) << stack.Logs();
}

TEST(AgentProgram, SaysWhatAWrongWordIsWhereverItIs) {
  Stack stack;
  EXPECT_EQ(Agent(stack, {"log", "--since", "noon", "--state-dir", "/none"}).exit_code, 2);
  EXPECT_EQ(Agent(stack, {"why", "--at", "tomorrow", "--state-dir", "/none"}).exit_code, 2);
  EXPECT_EQ(Agent(stack, {"pause", "until", "yesterday", "--state-dir", "/none"}).exit_code, 2);
  EXPECT_EQ(Agent(stack, {"pauze"}).exit_code, 2);
  EXPECT_THAT(Agent(stack, {"help"}).output, HasSubstr("doctor  "));
  EXPECT_THAT(Agent(stack, {"help", "pause"}).output, HasSubstr("until 18:00"));
  EXPECT_EQ(Agent(stack, {"help", "pauze"}).exit_code, 2);
  EXPECT_THAT(Agent(stack, {"run", "--help"}).output, HasSubstr("Exit codes:"));
}

TEST(AgentProgram, AnAnswerThatCannotBeWrittenIsAFailure) {
  const std::string program = FALLOW_BINARY_DIR "/bin/fallow-agent";
  for (const char* verb : {"limits", "limits --json", "limits --defaults"}) {
    const Finished told = RunProgram(
        {.arguments = {"/bin/sh", "-c", program + " " + verb + " > /dev/full"}, .environment = {}});
    EXPECT_EQ(told.exit_code, 1) << verb;
  }
}

TEST(AgentProgram, SettingsThatAreChangedAtATimeAllStand) {
  const TemporaryFolder folder;
  // The first of an owner: the folder is not there yet.
  const std::string file = folder.path() + "/config/agent.toml";
  const std::string change =
      FALLOW_BINARY_DIR "/bin/fallow-agent limits --settings " + file + " set ";
  std::string all;
  const std::vector<std::string> keys = {"quiet.level", "compute.threads", "compute.max_sequences",
                                         "load.foreign_cpu_percent", "load.foreign_gpu_percent"};
  for (const std::string& key : keys) all += change + key + " 17 & ";
  RunProgram({.arguments = {"/bin/sh", "-c", all + "wait"}, .environment = {}});
  for (const std::string& key : keys) {
    const Finished value =
        RunProgram({.arguments = {"fallow-agent", "limits", "get", key, "--settings", file},
                    .environment = {}});
    EXPECT_EQ(value.output, "17\n") << key;
  }
}

TEST(AgentProgram, ShowsAndResetsASettingAlone) {
  Stack stack;
  const auto limits = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "limits");
    words.insert(words.end(), {"--settings", stack.folder() + "/agent.toml"});
    return Agent(stack, words);
  };
  ASSERT_EQ(limits({"set", "quiet.level", "30"}).exit_code, 0);
  EXPECT_EQ(limits({"get", "quiet.level"}).output, "30\n");
  ASSERT_EQ(limits({"reset", "quiet.level"}).exit_code, 0);
  EXPECT_EQ(limits({"get", "quiet.level"}).output, "70\n");
  EXPECT_EQ(limits({"get", "quiet.levle"}).exit_code, 2);
  EXPECT_EQ(limits({"set", "", "5"}).exit_code, 2) << "it is not to show all instead";
}

TEST(AgentProgram, ItsLogTellsWhenNoAgentRan) {
  if (!std::filesystem::is_directory("/dev/shm"))
    GTEST_SKIP() << "signs of life are kept in memory alone, and there is no /dev/shm";
  const TemporaryRuntimeFolder runtime;
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  const auto start = [&] {
    stack.StartAgent();
    return WaitUntil([&] { return !StateOf(stack).empty(); }, 60s);
  };
  const auto look = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--state-dir", stack.folder() + "/agent"});
    return Agent(stack, arguments);
  };
  ASSERT_TRUE(start()) << stack.Logs();
  EXPECT_EQ(stack.agent().Terminate(), 0);
  ASSERT_TRUE(start()) << stack.Logs();
  stack.agent().Kill();
  // Until a whole second has passed, which is what a time is given in.
  EXPECT_TRUE(WaitUntil(
      [&] {
        const auto now = std::chrono::system_clock::now();
        const std::string time = fmt::format("{:%H:%M:%S}", fmt::localtime(now));
        return look({"why", "--at", time}).output.starts_with("not running: no agent ran between ");
      },
      60s));
  ASSERT_TRUE(start()) << stack.Logs();
  std::vector<std::string> absences;
  for (const auto& line : nlohmann::json::parse(look({"log", "--json"}).output))
    if (line.at("action") == "off") absences.push_back(line.at("cause"));
  EXPECT_THAT(absences, ElementsAre("ended", "killed"));
  EXPECT_EQ(look({"log", "--verify"}).exit_code, 0);
}

TEST(AgentProgram, FollowsTheSleepThatALogindTellsWhichCameAfterIt) {
  if (const std::string lacking = PrivateBus::Lacking(); !lacking.empty()) GTEST_SKIP() << lacking;
  PrivateBus bus;
  ASSERT_TRUE(bus.Start());
  Stack stack;
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(WaitUntil([&] { return StateOf(stack) == "idle"; }, 60s)) << stack.Logs();
  PlayedService logind("org.freedesktop.login1");
  const auto prepare = [&](bool for_sleep) {
    logind.Set("PreparingForSleep", for_sleep);
    logind.Emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep", "b",
                static_cast<int>(for_sleep));
  };
  logind.Set("PreparingForSleep", false);
  logind.Start();
  ASSERT_TRUE(WaitUntil([&] { return logind.calls() > 0; }, 60s)) << "it is not noticed";
  prepare(true);
  EXPECT_TRUE(WaitUntil([&] { return StateOf(stack) == "paused"; }, 60s)) << stack.Logs();
  EXPECT_THAT(StatusOf(stack).at("reason").get<std::string>(), HasSubstr("sleep"));
  prepare(false);
  EXPECT_TRUE(WaitUntil(
      [&] {
        const auto status = StatusOf(stack);
        return !status.is_null() &&
               status.at("reason").get<std::string>().find("sleep") == std::string::npos;
      },
      60s))
      << stack.Logs();
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

TEST(AgentProgram, EndsInGoodOrderWhileASensorHangs) {
  const TemporaryFolder folder;
  const std::string sign = folder.path() + "/hang";
  Stack stack(
      {.agent_arguments = {"--threads", "1"},
       .agent_environment = {"FALLOW_TEST_HANG=" + sign,
                             "LD_PRELOAD=" FALLOW_BINARY_DIR "/tests/libfallow_hanging_sensor.so",
                             "ASAN_OPTIONS=verify_asan_link_order=0"}});
  StartWork(stack);
  std::ofstream(sign) << "now";
  ASSERT_TRUE(WaitUntil([&] { return !std::filesystem::exists(sign); }, 20s)) << stack.Logs();
  EXPECT_EQ(stack.agent().Terminate(), 0) << stack.Logs();
  EXPECT_EQ(ReadFile(stack.folder() + "/agent/leases.json"), "[]\n");
  const Finished log = Agent(stack, {"log", "--json", "--state-dir", stack.folder() + "/agent"});
  EXPECT_EQ(nlohmann::json::parse(log.output).back().at("cause"), "ended");
}

TEST(AgentProgram, AChangedMemoryLimitHoldsWithoutARestartOfTheAgent) {
  Stack stack({.agent_arguments = {"--threads", "1"}});
  StartWork(stack);
  const std::string settings = stack.folder() + "/config/fallow/agent.toml";
  const pid_t before = StatusOf(stack).at("worker").at("process_id");
  ASSERT_EQ(Agent(stack, {"limits", "set", "limits.memory_mib", "3000", "--settings", settings})
                .exit_code,
            0);
  const auto command = [&]() -> std::string {
    const auto status = StatusOf(stack);
    if (status.is_null() || !status.at("worker").at("process_id").is_number()) return "";
    const pid_t worker = status.at("worker").at("process_id");
    return worker == before ? "" : ReadFile(fmt::format("/proc/{}/cmdline", worker));
  };
  using namespace std::string_literals;
  EXPECT_TRUE(WaitUntil(
      [&] { return command().find("--max-memory-mib\0003000"s) != std::string::npos; }, 60s))
      << stack.Logs();
  const auto noted = [&] {
    return Agent(stack, {"why", "--state-dir", stack.folder() + "/agent"}).output;
  };
  EXPECT_THAT(noted(), HasSubstr("limits.memory_mib changed: a worker that ran is started anew"));
  EXPECT_TRUE(WaitUntil([&] { return StateOf(stack) == "working"; }, 60s)) << stack.Logs();
}

TEST(AgentProgram, GoesOnAfterItsWorkerIsKilled) {
  Stack stack({.agent_arguments = {"--threads", "1"}});
  const std::string job = StartWork(stack);
  const pid_t worker = StatusOf(stack).at("worker").at("process_id");
  ASSERT_GT(worker, 0);
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  const Finished waited = stack.Run({"wait", job}, 300s);
  EXPECT_EQ(waited.exit_code, 0) << stack.Logs();
  EXPECT_EQ(StatusOf(stack).at("worker").at("losses"), 1);
}

}  // namespace
}  // namespace fallow::testing
