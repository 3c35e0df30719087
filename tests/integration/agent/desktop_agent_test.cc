// The real agent on a desktop with a real owner: an X server, a mouse, the session helper that the
// agent starts, the commands that the owner gives.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/agent/agent_verbs.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

// An X server of its own with a mouse, and an agent whose owner is away after a second.
class Desktop {
 public:
  static std::string Missing() {
    for (const char* name : {"Xvfb", "xdotool"}) {
      if (FindProgram(name).empty()) return fmt::format("{} is not installed", name);
    }
    return "";
  }

  Desktop()
      : server_({FindProgram("Xvfb"), "-displayfd", "3", "-screen", "0", "640x480x24", "-nolisten",
                 "tcp"}),
        display_(":" + server_.AwaitAnnouncement()),
        stack_({.agent_arguments = {"--idle-after", "1s", "--threads", "1"},
                .dedicated = false,
                .agent_environment = {"DISPLAY=" + display_,
                                      "WAYLAND_DISPLAY=", "XDG_SESSION_TYPE=x11",
                                      "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
                                      "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"}}) {
    WriteSettings("");
  }

  Stack& stack() { return stack_; }
  void TouchMouse() {
    const std::string touch = fmt::format("DISPLAY={} timeout 10 {} mousemove_relative 3 4",
                                          display_, FindProgram("xdotool"));
    ASSERT_EQ(std::system(touch.c_str()), 0);
  }
  // Other programs' load is not what these tests are about: the rest of the suite may run beside.
  void WriteSettings(const std::string& text) {
    const std::string folder = stack_.folder() + "/config/fallow";
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/agent.toml.new")
        << text << "[load]\nforeign_cpu_percent = 100\ncpu_pressure_percent = 100\n";
    std::filesystem::rename(folder + "/agent.toml.new", folder + "/agent.toml");
  }
  Finished Verb(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--state-dir", stack_.folder() + "/agent"});
    return Agent(stack_, std::move(arguments));
  }
  // Once the agent answers.
  nlohmann::json Status() {
    nlohmann::json status;
    WaitUntil([&] { return !(status = StatusOf(stack_)).is_null(); }, 60s);
    return status;
  }
  // Whether the machine's state becomes `state`, and the first reason `reason` if one is named.
  bool Becomes(const std::string& state, const std::string& reason = "") {
    return WaitUntil([&] { return Is(StatusOf(stack_), state, reason); }, 60s);
  }
  // The same for an owner who is at the mouse: one touch counts for a second, which may be over
  // before a busy machine has looked.
  bool BecomesInUseByTouch() {
    return WaitUntil(
        [&] {
          TouchMouse();
          const auto status = StatusOf(stack_);
          return Is(status, "in_use", "input") && status.at("leases").empty();
        },
        60s);
  }
  // How often it has decided for `reason` first of all, by its log.
  long Decided(const std::string& reason) {
    const auto log = nlohmann::json::parse(Verb({"log", "--json"}).output, nullptr, false);
    return std::ranges::count_if(log, [&](const auto& entry) {
      return entry.contains("reasons") && !entry["reasons"].empty() &&
             entry["reasons"][0].at("reason") == reason;
    });
  }
  // False where the agent does not answer, too.
  bool WorkerIsGone() {
    const auto status = StatusOf(stack_);
    return !status.is_null() && status.at("worker").at("process_id").is_null();
  }

 private:
  static bool Is(const nlohmann::json& status, const std::string& state,
                 const std::string& reason) {
    if (status.is_null() || status.at("state") != state) return false;
    const auto& reasons = status.at("policy").at("reasons");
    return reason.empty() || (!reasons.empty() && reasons[0].at("reason") == reason);
  }

  ServerProcess server_;
  std::string display_;
  Stack stack_;
};

#define SKIP_WITHOUT_DESKTOP() \
  if (const std::string missing = Desktop::Missing(); !missing.empty()) GTEST_SKIP() << missing

// The first idea of the product: somebody touches the mouse and has the machine.
TEST(DesktopAgent, GivesTheMachineBackWhenTheOwnerTouchesTheMouse) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  StartWork(stack);
  // A worker that a busy machine does not let stop within 100 ms is killed, and rightly so.
  bool stays = false;
  for (int tries = 0; tries < 5 && !stays; ++tries) {
    const auto worker = desktop.Status().at("worker").at("process_id");
    ASSERT_TRUE(desktop.BecomesInUseByTouch()) << stack.Logs();
    const auto status = desktop.Status();
    EXPECT_GE(status.at("yields").at("count"), 1);
    std::printf("input to device free %.2f ms\n", status.at("yields").at("p50_ms").get<double>());
    // And when nobody touches it any more, work goes on.
    ASSERT_TRUE(desktop.Becomes("working")) << stack.Logs();
    stays = !worker.is_null() && desktop.Status().at("worker").at("process_id") == worker;
  }
  EXPECT_TRUE(stays) << "the model stays in memory, and work goes on in the same process";
}

TEST(DesktopAgent, TheOwnersCommandsPauseAndResumeItAndItSaysWhy) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  StartWork(stack);
  EXPECT_THAT(desktop.Verb({"resume"}).output, HasSubstr("it was not paused"));
  EXPECT_EQ(desktop.Verb({"pause", "forever"}).exit_code, 2);
  EXPECT_EQ(desktop.Verb({"pause", "0s"}).exit_code, 2);
  ASSERT_EQ(desktop.Verb({"pause", "30m"}).exit_code, 0) << stack.Logs();
  ASSERT_TRUE(desktop.Becomes("paused", "paused_by_owner")) << stack.Logs();
  const Finished why = desktop.Verb({"why"});
  EXPECT_EQ(why.exit_code, 0);
  EXPECT_THAT(why.output, HasSubstr("pause"));
  EXPECT_THAT(desktop.Verb({"resume"}).output, HasSubstr("the pause is over"));
  ASSERT_TRUE(desktop.Becomes("working")) << stack.Logs();
  const Finished log = desktop.Verb({"log"});
  EXPECT_EQ(log.exit_code, 0);
  EXPECT_THAT(log.output, HasSubstr("pause"));
  const Finished verified = desktop.Verb({"log", "--verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  const auto replay = nlohmann::json::parse(desktop.Verb({"log", "--verify", "--json"}).output);
  EXPECT_GE(replay.at("replayed"), 3);
  EXPECT_EQ(replay.at("different"), 0);
  const Finished then = desktop.Verb({"why", "--at", "1999-01-01 12:00"});
  EXPECT_EQ(then.exit_code, 1);
}

TEST(DesktopAgent, APauseSurvivesARestart) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  StartWork(stack);
  ASSERT_EQ(desktop.Verb({"pause"}).exit_code, 0);
  ASSERT_TRUE(desktop.Becomes("paused", "paused_by_owner")) << stack.Logs();
  EXPECT_EQ(stack.agent().Terminate(), 0) << stack.Logs();
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(desktop.Becomes("paused", "paused_by_owner")) << stack.Logs();
}

TEST(DesktopAgent, FollowsItsSettingsWhileItRunsAndATypoStopsIt) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  StartWork(stack);
  const std::string settings = stack.folder() + "/config/fallow/agent.toml";
  desktop.WriteSettings("[presence]\nprogram = [\"Xvfb\"]\n");
  ASSERT_TRUE(desktop.Becomes("in_use", "settings")) << stack.Logs();
  EXPECT_THAT(desktop.Status().at("reason").get<std::string>(), HasSubstr("agent.toml:2:"));
  ASSERT_EQ(desktop.Verb({"limits", "--settings", settings}).exit_code, 1);
  desktop.WriteSettings("");
  ASSERT_TRUE(desktop.Becomes("working")) << stack.Logs();
  desktop.WriteSettings("[presence]\nprograms = [\"Xvfb\"]\n");
  ASSERT_TRUE(desktop.Becomes("in_use", "owner_program")) << stack.Logs();
  ASSERT_TRUE(WaitUntil([&] { return desktop.WorkerIsGone(); }, 60s))
      << "a program of the owner's list wants the memory too";
}

TEST(DesktopAgent, AMachineThatIsNoLongerDedicatedSeesItsOwner) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  desktop.WriteSettings("[presence]\ndedicated = true\n");
  StartWork(stack);
  EXPECT_TRUE(desktop.Status().at("helpers").empty());
  desktop.WriteSettings("");
  ASSERT_TRUE(WaitUntil(
      [&] {
        const auto status = StatusOf(stack);
        return !status.is_null() && !status.at("helpers").empty();
      },
      60s))
      << stack.Logs();
  ASSERT_TRUE(desktop.Becomes("working")) << stack.Logs();
  ASSERT_TRUE(desktop.BecomesInUseByTouch()) << stack.Logs();
  // And the other way: the agent itself ends the helper.
  desktop.WriteSettings("[presence]\ndedicated = true\n");
  ASSERT_TRUE(WaitUntil(
      [&] {
        const auto status = StatusOf(stack);
        return !status.is_null() && status.at("helpers").empty();
      },
      60s))
      << stack.Logs();
  EXPECT_THAT(ReadFile(stack.folder() + "/agent.log"), Not(HasSubstr("vanished")));
}

TEST(DesktopAgent, AHelperThatDiesCountsAsUseUntilANewOneReports) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  StartWork(stack);
  const pid_t helper = desktop.Status().at("helpers").at(0).at("process_id");
  const long before = desktop.Decided("distrusted_source");
  ASSERT_EQ(kill(helper, SIGKILL), 0);
  // It lasts for the second until a new one is started: only the log is sure to tell it.
  ASSERT_TRUE(WaitUntil([&] { return desktop.Decided("distrusted_source") > before; }, 60s))
      << stack.Logs();
  ASSERT_TRUE(desktop.Becomes("working")) << stack.Logs();
  EXPECT_NE(desktop.Status().at("helpers").at(0).at("process_id"), helper);
}

TEST(DesktopAgent, DoctorNamesTheSourceThatIsLive) {
  SKIP_WITHOUT_DESKTOP();
  Desktop desktop;
  Stack& stack = desktop.stack();
  ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
  ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  ASSERT_TRUE(desktop.Becomes("idle")) << stack.Logs();
  const Finished doctor = desktop.Verb({"doctor", "--settings", stack.folder() + "/none.toml"});
  EXPECT_EQ(doctor.exit_code, 0) << doctor.output;
  EXPECT_THAT(doctor.output, HasSubstr("x11 :"));
  EXPECT_THAT(doctor.output, HasSubstr("all defaults"));
}

}  // namespace
}  // namespace fallow::testing
