// The real agent of a whole machine, under a user of its own, and the users of that machine: who
// sits at it, who does not, and root.
//
// The test sees a /run of its own (a mount namespace), with logind's files as the test writes them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/integration/platform/server_process.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kRoot = 0, kAgent = 64'311, kAtSeat = 64'312, kFromAfar = 64'313;

class SystemAgent : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = Missing(); !missing.empty()) GTEST_SKIP() << missing;
    umask(022);  // what root makes here is for others to read
    std::filesystem::create_directories("/run/systemd/users");
    WriteLogin(kAtSeat, "seat0");
    WriteLogin(kFromAfar, "");
    // As systemd makes them for the unit.
    std::filesystem::create_directories(kSettingsFolder);  // which it leaves to root
    for (const char* folder : {"/run/fallow", "/run/fallow-state"}) {
      std::filesystem::create_directories(folder);
      ASSERT_EQ(chown(folder, kAgent, kAgent), 0);
    }
    // Other users may not reach the folder in which this was built.
    std::filesystem::copy_file(std::string(FALLOW_BINARY_DIR) + "/bin/fallow-agent", kProgram,
                               std::filesystem::copy_options::overwrite_existing);
    ASSERT_NO_FATAL_FAILURE(stack_.StartCoordinator());
    ASSERT_EQ(As(kAgent, {"join", stack_.join_link(), "--state-dir", kState}).exit_code, 0);
    agent_ = std::make_unique<Program>(
        Of(kAgent, {"run", "--system", "--state-dir", kState, "--settings", kSettings}));
    ASSERT_TRUE(WaitUntil([&] { return As(kRoot, {"status"}).exit_code == 0; }, 60s)) << Said();
  }

  Finished As(int user, std::vector<std::string> arguments) {
    return RunProgram(Of(user, std::move(arguments)));
  }
  // Everything that any of them said on its standard error.
  std::string Said() const { return ReadFile(stack_.folder() + "/system.log"); }
  nlohmann::json StatusFor(int user) {
    const Finished status = As(user, {"status", "--json"});
    EXPECT_EQ(status.exit_code, 0) << Said();
    return status.exit_code == 0 ? nlohmann::json::parse(status.output) : nlohmann::json();
  }

  static constexpr const char* kProgram = "/run/fallow-agent";
  static constexpr const char* kState = "/run/fallow-state/agent";
  static constexpr const char* kSettingsFolder = "/run/fallow-etc";
  static constexpr const char* kSettings = "/run/fallow-etc/agent.toml";
  Stack stack_;
  std::unique_ptr<Program> agent_;

 private:
  // Why this cannot run here; empty, in a namespace of its own, if it can.
  static std::string Missing() {
    if (geteuid() != 0) return "needs root to become other users";
    if (FindProgram("setpriv").empty()) return "setpriv is not installed";
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/run", "tmpfs", 0, "mode=755") != 0) {
      return fmt::format("needs a mount namespace: {}", std::strerror(errno));
    }
    return "";
  }
  static void WriteLogin(int user, const std::string& seats) {
    std::ofstream(fmt::format("/run/systemd/users/{}", user))
        << "STATE=active\nSEATS=" << seats << "\nONLINE_SEATS=" << seats << "\n";
  }
  ProgramOptions Of(int user, std::vector<std::string> arguments) const {
    std::vector<std::string> command = {FindProgram("setpriv"), fmt::format("--reuid={}", user),
                                        fmt::format("--regid={}", user), "--clear-groups",
                                        kProgram};
    command.insert(command.end(), arguments.begin(), arguments.end());
    // None of them runs an agent of its own.
    return {.arguments = command,
            .environment = {fmt::format("XDG_STATE_HOME=/run/home-{}/state", user),
                            fmt::format("XDG_CONFIG_HOME=/run/home-{}/config", user)},
            .log_path = stack_.folder() + "/system.log"};
  }
};

TEST_F(SystemAgent, WhoSitsAtTheMachineNeedsNeitherRootNorFlags) {
  const auto status = StatusFor(kAtSeat);
  ASSERT_FALSE(status.is_null());
  EXPECT_EQ(status.at("whole_system"), true);
  EXPECT_THAT(As(kAtSeat, {"status"}).output, HasSubstr("every login of this machine"));

  const Finished paused = As(kAtSeat, {"pause", "30m"});
  ASSERT_EQ(paused.exit_code, 0) << Said();
  EXPECT_THAT(paused.output, HasSubstr("this machine's agent is paused until 20"));
  EXPECT_EQ(StatusFor(kAtSeat).at("policy").at("reasons").at(0).at("reason"), "paused_by_owner");

  const Finished why = As(kAtSeat, {"why"});
  EXPECT_EQ(why.exit_code, 0) << Said();
  EXPECT_THAT(why.output, AllOf(HasSubstr("paused_by_owner"), HasSubstr("since ")));
  EXPECT_EQ(As(kAtSeat, {"resume"}).exit_code, 0) << Said();
  EXPECT_NE(StatusFor(kAtSeat).at("policy").at("reasons").at(0).at("reason"), "paused_by_owner");
}

TEST_F(SystemAgent, WhatRootPausedOnlyRootResumes) {
  ASSERT_EQ(As(kRoot, {"pause", "1h"}).exit_code, 0) << Said();
  const auto status = StatusFor(kAtSeat);
  EXPECT_EQ(status.at("pause").at("by_root"), true);
  for (const std::vector<std::string>& refused :
       {std::vector<std::string>{"resume"}, {"pause", "30m"}}) {
    EXPECT_EQ(As(kAtSeat, refused).exit_code, 1) << refused[0];
    EXPECT_EQ(StatusFor(kAtSeat).at("pause"), status.at("pause"));
  }
  EXPECT_THAT(Said(), HasSubstr("only root may end or shorten that: sudo fallow-agent resume"));
  EXPECT_THAT(As(kAtSeat, {"why"}).output,
              AllOf(HasSubstr("paused by root"), HasSubstr("`sudo fallow-agent resume`")));
  const Finished longer = As(kAtSeat, {"pause", "2h"});
  EXPECT_EQ(longer.exit_code, 0) << Said();
  EXPECT_THAT(longer.output, HasSubstr("root paused it until"));
  ASSERT_EQ(As(kRoot, {"resume"}).exit_code, 0) << Said();
  EXPECT_TRUE(StatusFor(kAtSeat).at("pause").is_null());
}

TEST_F(SystemAgent, ItsPrivateLogIsReadOverTheSocket) {
  ASSERT_EQ(As(kAtSeat, {"pause"}).exit_code, 0) << Said();
  ASSERT_NE(As(kAtSeat, {"log", "--state-dir", kState}).exit_code, 0) << "the folder is private";
  const Finished log = As(kAtSeat, {"log"});
  EXPECT_EQ(log.exit_code, 0) << Said();
  EXPECT_THAT(log.output, HasSubstr("paused_by_owner"));
  EXPECT_EQ(As(kAtSeat, {"log", "--verify"}).exit_code, 0) << Said();
  EXPECT_THAT(As(kAtSeat, {"why", "--at", "now"}).output, HasSubstr("paused_by_owner"));
  EXPECT_EQ(As(kAtSeat, {"why", "--at", "1999-01-01 12:00"}).exit_code, 1);
  EXPECT_THAT(Said(), HasSubstr("the log begins at"));
}

TEST_F(SystemAgent, WhoComesFromAfarIsRefusedAndToldTheWayOut) {
  for (const char* verb : {"status", "why", "log", "pause", "resume"}) {
    EXPECT_EQ(As(kFromAfar, {verb}).exit_code, 1) << verb;
    EXPECT_THAT(Said(), HasSubstr(fmt::format("this machine's agent takes `{}` only from root and "
                                              "from whoever is logged in at this machine's own "
                                              "screen: use sudo",
                                              verb)));
  }
  EXPECT_EQ(As(kFromAfar, {"limits"}).exit_code, 1);
  EXPECT_THAT(Said(), HasSubstr("or name its settings file with --settings"));
  EXPECT_NE(StatusFor(kRoot).at("policy").at("reasons").at(0).at("reason"), "paused_by_owner");
}

TEST_F(SystemAgent, MembershipAndStoppingStayRoots) {
  EXPECT_NE(As(kAtSeat, {"leave"}).exit_code, 0);
  EXPECT_NE(As(kAtSeat, {"leave", "--state-dir", kState}).exit_code, 0);
  EXPECT_TRUE(agent_->running());
  ASSERT_EQ(As(kRoot, {"leave", "--state-dir", kState}).exit_code, 0) << Said();
  EXPECT_TRUE(WaitUntil([&] { return !agent_->running(); }, 60s)) << Said();
  EXPECT_FALSE(std::filesystem::exists("/run/fallow/agent.sock"));
  EXPECT_EQ(As(kAtSeat, {"status"}).exit_code, 3) << "as where there never was one";
}

TEST_F(SystemAgent, ItsSettingsAreReadByAllAndChangedByRoot) {
  ASSERT_EQ(As(kRoot, {"limits", "set", "quiet.level", "40"}).exit_code, 0) << Said();
  const Finished limits = As(kAtSeat, {"limits"});
  EXPECT_EQ(limits.exit_code, 0) << Said();
  EXPECT_THAT(limits.output, HasSubstr(fmt::format("from {}", kSettings)));
  EXPECT_EQ(As(kAtSeat, {"limits", "set", "presence.idle_after", "5 min"}).exit_code, 1);
  EXPECT_THAT(Said(), HasSubstr(fmt::format("sudo fallow-agent limits --settings {} set "
                                            "presence.idle_after '5 min'",
                                            kSettings)));
}

TEST_F(SystemAgent, ItReadsSettingsInAFolderThatRootHadToMakeAnew) {
  std::filesystem::remove_all(kSettingsFolder);
  ASSERT_EQ(As(kRoot, {"limits", "set", "limits.disk_gib", "9"}).exit_code, 0) << Said();
  EXPECT_EQ(As(kAtSeat, {"limits"}).exit_code, 0) << Said();
  EXPECT_TRUE(
      WaitUntil([&] { return StatusFor(kAtSeat).at("cache").at("max_bytes") == 9ull << 30; }, 60s))
      << Said();
}

TEST_F(SystemAgent, ItDoesNotChooseWhatRootWritesTo) {
  ASSERT_EQ(chown(kSettingsFolder, kAgent, kAgent), 0);
  EXPECT_EQ(As(kRoot, {"limits", "set", "quiet.level", "40"}).exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(kSettings));
  EXPECT_THAT(Said(), HasSubstr(fmt::format("others than root may write to {}; if that is right, "
                                            "name it: sudo fallow-agent limits --settings {} set "
                                            "quiet.level 40",
                                            kSettingsFolder, kSettings)));
  EXPECT_EQ(As(kRoot, {"limits", "--settings", kSettings, "set", "quiet.level", "40"}).exit_code,
            0);
}

TEST_F(SystemAgent, DoctorFindsIt) {
  EXPECT_THAT(As(kAtSeat, {"doctor"}).output,
              AllOf(HasSubstr("the one of the whole machine, joined https://"),
                    HasSubstr(kSettings), HasSubstr("no session helper reports")));
}

}  // namespace
}  // namespace fallow::testing
