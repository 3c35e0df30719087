// The machine's real sensors, and the real scheduler. What this machine lacks is skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "platform/background.h"
#include "platform/cpu_load.h"
#include "platform/gpu_load.h"
#include "platform/power.h"
#include "platform/system.h"
#include "platform/thermals.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// A process that does `what` until the test ends.
class Child {
 public:
  explicit Child(void (*what)()) : process_id_(::fork()) {
    if (process_id_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    what();
    ::_exit(0);
  }
  ~Child() {
    if (process_id_ <= 0) return;
    ::kill(process_id_, SIGKILL);
    ::waitpid(process_id_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  pid_t process_id() const { return process_id_; }

 private:
  pid_t process_id_;
};

bool HasEntries(const std::string& folder) {
  std::error_code none;
  return std::filesystem::exists(folder, none) && !std::filesystem::is_empty(folder, none);
}

TEST(ThisMachine, TellsItsBattery) {
  const PowerReading reading = NewPowerSensor()->Read();
  EXPECT_FALSE(reading.detail.empty());
  if (!HasEntries("/sys/class/power_supply")) {
    EXPECT_EQ(reading.on_battery, std::nullopt);
    GTEST_SKIP() << "no power supply is listed on this machine";
  }
  if (reading.charge_percent) {
    EXPECT_GE(*reading.charge_percent, 0);
    EXPECT_LE(*reading.charge_percent, 100);
  }
}

TEST(ThisMachine, TellsItsTemperatures) {
  const auto clock = NewSystemClock();
  const ThermalReading reading = NewThermalSensor(*clock)->Read();
  for (const Temperature& temperature : reading.temperatures) {
    EXPECT_GE(temperature.celsius, -20) << temperature.sensor;
    EXPECT_LE(temperature.celsius, 150) << temperature.sensor;
  }
  if (reading.temperatures.empty()) {
    GTEST_SKIP() << "no processor or graphics card of this machine tells its temperature";
  }
}

TEST(ThisMachine, TellsAProcessThatWorksFromOneThatRests) {
  const Child rests([] {
    for (;;) ::pause();
  });
  const Child works([] {
    for (volatile int count = 0;;) count = count + 1;
  });
  EXPECT_TRUE(fallow::testing::WaitUntil(
      [&] { return ProcessorTime(works.process_id()) >= std::chrono::milliseconds(300); },
      std::chrono::seconds(30)));
  ASSERT_TRUE(ProcessorTime(rests.process_id()).has_value());
  EXPECT_LT(*ProcessorTime(rests.process_id()), std::chrono::milliseconds(100));
}

TEST(ThisMachine, TellsItsGraphicsCards) {
  const auto clock = NewSystemClock();
  const auto sensor = NewGpuLoadSensor(*clock);
  const auto readings = sensor->Read({});
  for (const GpuReading& reading : readings) {
    EXPECT_FALSE(reading.name.empty());
    EXPECT_LE(reading.busy_share.value_or(0), 1);
    EXPECT_LE(reading.memory_used_bytes.value_or(0), reading.memory_total_bytes.value_or(0));
  }
  if (readings.empty()) GTEST_SKIP() << "this machine has no graphics card";
}

// Ours is this process, which computes on one processor until the kernel has counted enough of it.
TEST(ThisMachine, TellsOurProcessorTimeFromTheOthers) {
  const auto alone = NewCpuLoadSensor();
  const auto together = NewCpuLoadSensor();
  const std::vector<std::int64_t> own = {ProcessId()};
  alone->Read(own);
  together->Read({});
  rusage use{};
  do {
    ::getrusage(RUSAGE_SELF, &use);
  } while (use.ru_utime.tv_sec + use.ru_stime.tv_sec < 1);
  const CpuReading without_us = alone->Read(own);
  const CpuReading with_us = together->Read({});
  ASSERT_TRUE(without_us.foreign_share.has_value());
  ASSERT_TRUE(with_us.foreign_share.has_value());
  EXPECT_LT(*without_us.foreign_share, *with_us.foreign_share);
  EXPECT_EQ(with_us.processor_count, static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_GT(with_us.memory_total_bytes, with_us.memory_available_bytes.value_or(0));
  EXPECT_EQ(with_us.trouble, "");
}

TEST(ThisMachine, RunsThisTest) {
  const auto names = RunningPrograms();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_TRUE(std::ranges::binary_search(names, std::string("platform_machine_integration_test")));
}

class InBackground : public ::testing::Test {
 protected:
  static constexpr const char* kChild = "../tests/platform_machine_test_child";

  // What a child in the background says of itself.
  static std::string Say(std::vector<std::string> arguments = {kChild}) {
    const auto done = fallow::testing::RunProgram(
        {.arguments = std::move(arguments), .environment = {}, .log_path = ""});
    EXPECT_EQ(done.exit_code, 0);
    return done.output;
  }
};

TEST_F(InBackground, AProcessAndItsThreadsGiveWay) {
  const std::string said = Say();
  EXPECT_THAT(said, HasSubstr("reached: SCHED_IDLE"));
  EXPECT_THAT(said, HasSubstr("policy: 5\n"));
  EXPECT_THAT(said, HasSubstr("thread's policy: 5\n"));
  EXPECT_THAT(said, HasSubstr("leads its session: 1\n"));
  EXPECT_THAT(said, HasSubstr("oom: 1000\n"));
}

TEST_F(InBackground, ItsSessionWeighsLittle) {
  if (fallow::testing::ReadFile("/proc/sys/kernel/sched_autogroup_enabled") != "1\n") {
    GTEST_SKIP() << "this kernel does not group processes by session";
  }
  const std::string before = fallow::testing::ReadFile("/proc/self/autogroup");
  const std::string said = Say();
  EXPECT_THAT(said, HasSubstr("nice 19\n"));
  EXPECT_THAT(said, ContainsRegex("hurried: /autogroup-[0-9]+ nice 0\n"));
  EXPECT_EQ(fallow::testing::ReadFile("/proc/self/autogroup"), before);
}

// As when a worker follows one that was hurried out: the kernel refuses a second change at once.
TEST_F(InBackground, ItsSessionWeighsLittleThoughOneWasChangedJustBefore) {
  if (fallow::testing::ReadFile("/proc/sys/kernel/sched_autogroup_enabled") != "1\n") {
    GTEST_SKIP() << "this kernel does not group processes by session";
  }
  const std::string said = Say({kChild, "changed-before"});
  EXPECT_THAT(said, ContainsRegex("before, hurried: /autogroup-[0-9]+ nice 0\n"));
  EXPECT_THAT(said, ContainsRegex("oom: 1000\n/autogroup-[0-9]+ nice 19\n"));
  EXPECT_THAT(said, Not(HasSubstr("not reached: autogroup")));
}

// Its session is ours: what was meant for it would slow us down.
TEST_F(InBackground, AProcessThatDoesNotLeadItsSessionIsLeftAlone) {
  if (::getsid(0) == ::getpid()) GTEST_SKIP() << "this test leads its session";
  const Status status = SetHaste(::getpid(), Haste::kNone);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace fallow
