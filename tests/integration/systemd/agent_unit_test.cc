// fallow-agent.service, as it is installed, in a machine that systemd runs.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/integration/systemd/machine.h"
#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr const char* kStatus = "fallow-agent status --json --state-dir /var/lib/fallow/agent";
const std::string kExample = FALLOW_SOURCE_DIR "/examples/field-normalizer/";

// A coordinator of this system, and a machine that has joined it by the steps that the unit names.
class AgentUnit : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = machine_.Boot(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_NO_FATAL_FAILURE(stack_.StartCoordinator());
    // Other programs' load is not what these tests are about: the rest of the suite runs beside.
    Must(
        "mkdir -p /etc/fallow && printf '[presence]\\nidle_after = \"1s\"\\n"
        "[load]\\nforeign_cpu_percent = 100\\ncpu_pressure_percent = 100\\n"
        "[compute]\\nbackend = \"cpu\"\\nthreads = 1\\n' > /etc/fallow/agent.toml");
    Must("install -d -o fallow -g fallow -m 700 /var/lib/fallow");
    Must(
        fmt::format("runuser -u fallow -- fallow-agent join --state-dir /var/lib/fallow/agent '{}'",
                    stack_.join_link()));
  }

  std::string Must(const std::string& command) {
    const Finished done = machine_.Run(command);
    EXPECT_EQ(done.exit_code, 0) << command << "\n" << done.output << machine_.Journal();
    return done.output;
  }
  void Start() {
    Must("systemctl start fallow-agent");
    ASSERT_TRUE(machine_.Becomes(kStatus)) << machine_.Journal();
  }
  nlohmann::json Status() {
    const Finished status = machine_.Run(kStatus);
    return status.exit_code == 0 ? nlohmann::json::parse(status.output) : nlohmann::json();
  }
  bool StatusBecomes(const std::function<bool(const nlohmann::json&)>& condition) {
    return WaitUntil(
        [&] {
          const auto status = Status();
          return !status.is_null() && condition(status);
        },
        60s);
  }
  bool StateBecomes(const std::string& state) {
    return StatusBecomes([&](const auto& status) { return status.at("state") == state; });
  }
  // Of the worker, as text, once there is one.
  std::string WorkerId() {
    std::string id;
    EXPECT_TRUE(StatusBecomes([&](const auto& status) {
      id = status.at("worker").at("process_id").dump();
      return id != "null";
    }));
    return id;
  }
  // As the desktop of the login does.
  void SetIdle(bool idle) {
    if (session_.empty()) {
      machine_.LogIn("XDG_SESSION_TYPE=wayland XDG_SESSION_CLASS=user XDG_SEAT=seat0");
      const std::string listed = machine_.Output(
          "busctl call org.freedesktop.login1 /org/freedesktop/login1 "
          "org.freedesktop.login1.Manager ListSessions");
      session_ = listed.substr(std::min(listed.find("/org/"), listed.size()));
      session_.resize(std::min(session_.find('"'), session_.size()));
    }
    Must(
        fmt::format("busctl call org.freedesktop.login1 {} org.freedesktop.login1.Session "
                    "SetIdleHint b {}",
                    session_, idle));
  }
  // The machine, whose owner is away, computes from now on, and has enough to do for the test.
  void StartWork() {
    SetIdle(true);
    stack_.LogIn();
    stack_.AddDemoModel();
    for (int i = 0; i < 5; ++i) {
      const Finished submitted = stack_.Run({"submit", kExample + "batch-2000.jsonl"});
      ASSERT_EQ(submitted.exit_code, 0) << stack_.Logs();
    }
    ASSERT_TRUE(Computes()) << stack_.Logs() << machine_.Journal();
  }
  // Whether requests are finished from now on.
  bool Computes() {
    const auto finished = [this] {
      const auto status = Status();
      return status.is_null() ? 0 : status.at("finished_requests").get<int>();
    };
    const int before = finished();
    return WaitUntil([&] { return finished() > before; }, 60s);
  }
  // Of the daemon, as the kernel shows it.
  std::string Process(const std::string& file) {
    return machine_.Read("/proc/" + machine_.Output("systemctl show -P MainPID fallow-agent") +
                         "/" + file);
  }

  Machine machine_;
  Stack stack_;
  std::string session_;  // the login's object on the bus
};

TEST_F(AgentUnit, StartsUnderItsSandboxAndOffersItsSocketToEveryLogin) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(machine_.Output("stat -c '%U %a' /run/fallow/session.sock"), "fallow 666");
  EXPECT_EQ(machine_.Output("stat -c '%U %a' /run/fallow"), "fallow 755");
  EXPECT_EQ(machine_.Output("stat -c '%U %a' /var/lib/fallow"), "fallow 700");
  EXPECT_THAT(Process("status"),
              AllOf(HasSubstr("CapBnd:\t0000000000000000"), HasSubstr("CapPrm:\t0000000000000000"),
                    HasSubstr("NoNewPrivs:\t1")));
  EXPECT_EQ(machine_.Output("ps -o user= -C fallow-agent"), "fallow");
  EXPECT_EQ(machine_.Output("id -Gn fallow"), "fallow") << "groups are the unit's, not the user's";
  EXPECT_THAT(Process("mountinfo"), AllOf(HasSubstr(" / / ro,"), HasSubstr(" / /usr ro,"),
                                          HasSubstr(" /var/lib/fallow /var/lib/fallow rw,"),
                                          HasSubstr(" /systemd/inaccessible/dir /home ro,")));
  EXPECT_THAT(Process("cgroup"), HasSubstr("/fallow.slice/fallow-agent.service"));
  EXPECT_EQ(Process("oom_score_adj"), "500\n");
}

TEST_F(AgentUnit, GivesItsLeasesBackWhenItIsStopped) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(StartWork());
  // Between two leases there may be none.
  ASSERT_TRUE(StatusBecomes([](const auto& status) { return !status.at("leases").empty(); }));
  Must("systemctl stop fallow-agent");
  EXPECT_EQ(machine_.Output("systemctl show -P Result fallow-agent"), "success")
      << "it did not end of itself in TimeoutStopSec";
  EXPECT_EQ(machine_.Read("/var/lib/fallow/agent/leases.json"), "[]\n");
  EXPECT_EQ(machine_.Run("pgrep fallow").exit_code, 1) << "something of ours is left";
  const auto jobs = nlohmann::json::parse(stack_.Run({"--json", "jobs"}).output).at("data");
  EXPECT_FALSE(jobs.empty());
  for (const auto& job : jobs)
    EXPECT_EQ(job.at("progress").at("devices"), 0) << "a lease that the coordinator waits for";
}

TEST_F(AgentUnit, ComesBackWhenItIsKilledAndLeavesNoWorker) {
  Must(
      "mkdir /run/systemd/system/fallow-agent.service.d && printf '[Service]\\nRestartSec=1s\\n' "
      "> /run/systemd/system/fallow-agent.service.d/soon.conf && systemctl daemon-reload");
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(StartWork());
  const std::string worker = WorkerId();
  Must("systemctl kill --kill-who=main --signal=KILL fallow-agent");
  EXPECT_TRUE(machine_.Becomes("! test -e /proc/" + worker));
  EXPECT_TRUE(machine_.Becomes("test $(systemctl show -P NRestarts fallow-agent) = 1"));
  EXPECT_TRUE(
      machine_.Becomes("systemctl is-active fallow-agent && test -S /run/fallow/session.sock"));
  EXPECT_TRUE(Computes()) << machine_.Journal();
}

TEST_F(AgentUnit, WorkerGivesWayUnderTheSandbox) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(StartWork());
  const std::string worker = WorkerId();
  ASSERT_TRUE(machine_.Becomes(fmt::format("chrt -p {} | grep SCHED_IDLE", worker)))
      << worker << machine_.Output("ps -eLo pid,cls,ni,comm") << machine_.Journal();
  EXPECT_TRUE(machine_.Becomes(fmt::format("grep -x 1000 /proc/{}/oom_score_adj", worker)));
  EXPECT_THAT(machine_.Output("ionice -p " + worker), HasSubstr("idle"));
  const std::string autogroup = machine_.Read(fmt::format("/proc/{}/autogroup", worker));
  EXPECT_TRUE(autogroup.empty() || autogroup.ends_with(" nice 19\n")) << autogroup;
}

TEST_F(AgentUnit, SliceIsIdleWhereControlGroupsShareTheProcessors) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(machine_.Output("systemctl show -P CPUWeight fallow.slice"), "idle");
  const std::string idle = machine_.Read("/sys/fs/cgroup/fallow.slice/cpu.idle");
  if (idle.empty()) GTEST_SKIP() << "no unified control group of this system shares the processors";
  EXPECT_EQ(idle, "1\n");
}

TEST_F(AgentUnit, GivesWorkBackBeforeSleepAndGoesOnAfterwards) {
  if (machine_.Run("test -e /lib/systemd/system/polkit.service").exit_code != 0)
    GTEST_SKIP() << "polkitd is not installed: without it logind lends users no inhibitor";
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(StartWork());
  const std::string list = "systemd-inhibit --list --no-legend --no-pager | grep Fallow";
  // logind may take longer than we wait for it, while polkit starts: the next try is after 30 s.
  ASSERT_TRUE(machine_.Becomes(list, 120s)) << machine_.Journal();
  EXPECT_THAT(Must(list),
              MatchesRegex("Fallow +[0-9]+ fallow +[0-9]+ fallow-agent sleep .* delay\n"));
  Must("systemctl suspend");
  ASSERT_TRUE(machine_.Becomes("fallow-agent log --state-dir /var/lib/fallow/agent | grep sleep"))
      << machine_.Journal();
  EXPECT_TRUE(machine_.Becomes(list, 120s)) << "the next sleep does not wait";
  EXPECT_TRUE(Computes()) << machine_.Journal();
}

TEST_F(AgentUnit, SaysSoWhenNobodyMayLetItDelaySleep) {
  Must("systemctl mask --runtime polkit.service");
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_TRUE(machine_.Becomes(
      "journalctl --no-pager -u fallow-agent | grep 'the machine will not wait for us'"))
      << machine_.Journal();
}

TEST_F(AgentUnit, GivesTheMachineBackWhenALoginIsNoLongerIdle) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_NO_FATAL_FAILURE(StartWork());
  SetIdle(false);
  EXPECT_TRUE(StateBecomes("in_use")) << machine_.Journal();
  EXPECT_THAT(Status().at("presence").dump(), HasSubstr("of anna (wayland)"));
  EXPECT_TRUE(StatusBecomes([](const auto& status) {
    return status.at("leases").empty() && status.at("yields").at("count") == 1;
  })) << Status().dump()
      << machine_.Journal();
}

// A login's helper comes and goes with the desktop, by the real user manager of that login.
TEST_F(AgentUnit, HearsTheHelperThatADesktopStarts) {
  machine_.LogIn("XDG_SESSION_TYPE=wayland XDG_SESSION_CLASS=user XDG_SEAT=seat0");
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string user = "XDG_RUNTIME_DIR=/run/user/1000 runuser -u anna -- systemctl --user ";
  ASSERT_TRUE(machine_.Becomes(user + "is-system-running")) << machine_.Journal();
  Must(
      "printf '[Unit]\nBindsTo=graphical-session.target\n[Service]\nExecStart=sleep infinity\n' "
      ">/etc/systemd/user/desktop.service");
  Must(user + "enable fallow-session");
  Must(user + "start desktop");
  const std::string doctor =
      "fallow-agent doctor --state-dir /var/lib/fallow/agent --settings /etc/fallow/agent.toml";
  EXPECT_TRUE(machine_.Becomes(doctor + " | grep -E '^helpers +ok'"))
      << machine_.Run(doctor).output << machine_.Journal();
  EXPECT_THAT(machine_.Output("ps -o cgroup= -C fallow-session"),
              HasSubstr("/user@1000.service/session.slice/fallow-session.service"));
  EXPECT_THAT(machine_.Output("cat /proc/$(pgrep fallow-session)/status"),
              AllOf(HasSubstr("NoNewPrivs:\t1"), HasSubstr("Seccomp:\t2")));
  Must(user + "stop desktop");
  EXPECT_TRUE(machine_.Becomes("! pgrep fallow-session")) << machine_.Journal();
  EXPECT_EQ(machine_.Output(user + "show -P Result fallow-session"), "success");
}

// The cases of what a process in the background does, run as the unit runs the agent. Not without
// /home and with /tmp, for the build may lie there.
TEST(AgentSandbox, LetsAProcessGiveWayAndHurry) {
  Machine machine;
  if (const std::string why = machine.Boot(); !why.empty()) GTEST_SKIP() << why;
  const Finished started = machine.Run(
      fmt::format("cd /etc/systemd/system && sed -e '/^ProtectHome=/d' -e '/^Restart/d' "
                  "-e 's,^PrivateTmp=.*,ReadWritePaths=/tmp,' "
                  "-e 's,^ExecStart=.*,ExecStart={}/tests/platform_machine_integration_test "
                  "--gtest_filter=InBackground.*\\nType=oneshot\\nStandardOutput=file:/run/said,' "
                  "fallow-agent.service >in-background.service && systemctl start in-background",
                  FALLOW_BINARY_DIR));
  const std::string said = machine.Read("/run/said");
  EXPECT_EQ(started.exit_code, 0) << started.output << said << machine.Journal();
  EXPECT_THAT(said, HasSubstr("[       OK ] InBackground.AProcessAndItsThreadsGiveWay"));
  EXPECT_THAT(said, Not(HasSubstr("[  FAILED  ]")));
}

}  // namespace
}  // namespace fallow::testing
