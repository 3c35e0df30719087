// The units of packaging/systemd as systemd's own tools read them; needs no systemd that runs.
// Lines that are looked at one by one are promises of the documents, which a tool cannot know.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/integration/platform/server_process.h"
#include "tests/integration/systemd/machine.h"

namespace fallow::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

const std::string kUnits = FALLOW_SOURCE_DIR "/packaging/systemd/";

std::vector<std::string> LinesOf(const std::string& unit) {
  std::istringstream text(ReadFile(kUnits + unit));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// A folder with the units, whose programs need not be installed for these tests.
class UnitFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* tool : {"systemd-analyze", "systemd-sysusers"}) {
      if (FindProgram(tool).empty()) GTEST_SKIP() << tool << " is not installed";
    }
    const std::regex program("ExecStart=/usr/bin/[a-z-]+");
    for (const char* unit : {"fallow-agent.service", "fallow-session.service", "fallow.slice"}) {
      const std::string text = ReadFile(kUnits + unit);
      ASSERT_FALSE(text.empty()) << unit;
      std::ofstream(At(unit)) << std::regex_replace(text, program, "ExecStart=/bin/true");
    }
  }
  std::string At(const std::string& name) const { return folder_.path() + "/" + name; }
  Finished Tool(const std::string& command) {
    return RunShell(
        fmt::format("HOME={0} XDG_RUNTIME_DIR={0} timeout 30 {1}", folder_.path(), command));
  }

  TemporaryFolder folder_;
};

TEST_F(UnitFiles, SystemdFindsNothingToSayAboutTheUnitsOfTheMachine) {
  const Finished said =
      Tool(fmt::format("systemd-analyze verify --man=no --recursive-errors=no {} {}",
                       At("fallow-agent.service"), At("fallow.slice")));
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.output, IsEmpty());
}

TEST_F(UnitFiles, SystemdFindsNothingToSayAboutTheUnitOfALogin) {
  const Finished said = Tool("systemd-analyze --user verify --man=no --recursive-errors=no " +
                             At("fallow-session.service"));
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.output, IsEmpty());
}

// In tenths, as systemd 252 counts; what is open is so on purpose (see the unit).
TEST_F(UnitFiles, AgentIsExposedToLittle) {
  const Finished said =
      Tool(fmt::format("systemd-analyze security --no-pager --offline=true --threshold=40 {}",
                       At("fallow-agent.service")));
  EXPECT_EQ(said.exit_code, 0) << said.output;
}

TEST_F(UnitFiles, EveryGroupThatTheAgentNeedsIsMade) {
  if (geteuid() != 0) GTEST_SKIP() << "systemd-sysusers needs root";
  std::filesystem::create_directories(At("root/etc"));
  const Finished made =
      Tool(fmt::format("systemd-sysusers --root={} {}fallow.sysusers", At("root"), kUnits));
  EXPECT_EQ(made.exit_code, 0) << made.output;
  EXPECT_THAT(ReadFile(At("root/etc/passwd")), HasSubstr("fallow:x:"));
  const std::string groups = "\n" + ReadFile(At("root/etc/group"));
  for (const char* group : {"fallow", "input", "render", "video"})
    EXPECT_THAT(groups, HasSubstr(fmt::format("\n{}:x:", group)));
  EXPECT_THAT(LinesOf("fallow-agent.service"), Contains("SupplementaryGroups=input render video"));
}

TEST(UnitText, AgentMayTouchItsOwnFoldersAlone) {
  EXPECT_THAT(
      LinesOf("fallow-agent.service"),
      IsSupersetOf({"User=fallow", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
                    "NoNewPrivileges=yes", "CapabilityBoundingSet=", "StateDirectory=fallow",
                    "StateDirectoryMode=0700", "RuntimeDirectory=fallow"}));
}

TEST(UnitText, AgentGivesWayAndIsGivenTimeToGiveBack) {
  EXPECT_THAT(LinesOf("fallow-agent.service"),
              IsSupersetOf({"Slice=fallow.slice", "KillMode=mixed", "TimeoutStopSec=15"}));
  EXPECT_THAT(LinesOf("fallow.slice"), Contains("CPUWeight=idle"));
}

TEST(UnitText, HelperHasNoNetworkAndLittleMemory) {
  EXPECT_THAT(LinesOf("fallow-session.service"),
              IsSupersetOf({"RestrictAddressFamilies=AF_UNIX AF_NETLINK", "MemoryMax=64M",
                            "NoNewPrivileges=yes"}));
}

}  // namespace
}  // namespace fallow::testing
