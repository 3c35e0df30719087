#include "platform/cpu_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/linux/process_stat.h"
#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kDaemon = 100;
constexpr std::int64_t kWorker = 200;

// A process's line of /proc/PID/stat.
struct StatLine {
  std::int64_t id = 0;
  std::string name = "fallow";
  std::int64_t parent = 1;
  std::int64_t ticks = 0;
  std::int64_t children_ticks = 0;
  std::int64_t start = 10;
};

std::string Text(const StatLine& line) {
  return std::to_string(line.id) + " (" + line.name + ") S " + std::to_string(line.parent) +
         " 1 1 0 -1 4194560 0 0 0 0 " + std::to_string(line.ticks) + " 0 " +
         std::to_string(line.children_ticks) + " 0 39 19 1 0 " + std::to_string(line.start) +
         " 0 0";
}

class CpuLoad : public ::testing::Test {
 protected:
  CpuLoad() {
    machine_.Write("proc/meminfo",
                   "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable: 3000 kB");
    Uptime(1000);
    Processors(0, 0);
  }
  // Two processors; `busy` and `idle` in ticks of both together.
  void Processors(std::int64_t busy, std::int64_t idle) {
    Stat("cpu  " + std::to_string(busy) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 0 0", 2);
  }
  void Stat(const std::string& total, int processors) {
    std::string text = total;
    for (int i = 0; i < processors; ++i)
      text += "\ncpu" + std::to_string(i) + " 1 1 1 1 1 1 1 1 1 1";
    machine_.Write("proc/stat", text + "\nintr 1 2 3\nctxt 5");
  }
  void Uptime(int seconds) { machine_.Write("proc/uptime", std::to_string(seconds) + ".00 1.00"); }
  void Process(const StatLine& line) {
    machine_.Write("proc/" + std::to_string(line.id) + "/stat", Text(line));
  }
  void End(std::int64_t id) { machine_.Remove("proc/" + std::to_string(id)); }
  std::optional<double> Share(std::vector<std::int64_t> own = {}) {
    return sensor().Read(own).foreign_share;
  }
  CpuLoadSensor& sensor() {
    if (sensor_ == nullptr) sensor_ = NewCpuLoadSensor(machine_.folders());
    return *sensor_;
  }

  fallow::testing::MachineFolder machine_;
  std::unique_ptr<CpuLoadSensor> sensor_;
};

TEST_F(CpuLoad, HasNoShareAtFirst) {
  EXPECT_EQ(Share(), std::nullopt);
}

TEST_F(CpuLoad, IsTheBusyPartOfTheTimeThatPassed) {
  Share();
  Processors(250, 750);
  EXPECT_EQ(Share(), 0.25);
}

TEST_F(CpuLoad, CountsNiceWorkAndInterruptsButNotWaitingForDisks) {
  Stat("cpu  0 0 0 0 0 0 0 0 0 0", 2);
  Share();
  Stat("cpu  100 200 50 400 200 25 25 0 0 0", 2);
  EXPECT_EQ(Share(), 0.4);
}

// The kernel counts guests in user and nice already.
TEST_F(CpuLoad, CountsGuestsOnce) {
  Stat("cpu  0 0 0 0 0 0 0 0 0 0", 2);
  Share();
  Stat("cpu  500 0 0 500 0 0 0 0 400 0", 2);
  EXPECT_EQ(Share(), 0.5);
}

TEST_F(CpuLoad, DoesNotBlameTheMachineForStolenTime) {
  Stat("cpu  0 0 0 0 0 0 0 0 0 0", 2);
  Share();
  Stat("cpu  100 0 0 100 0 0 0 200 0 0", 2);
  EXPECT_EQ(Share(), 0.25);
}

TEST_F(CpuLoad, LeavesOutOurs) {
  Process({.id = kWorker, .ticks = 50});
  Share({kWorker});
  Processors(700, 300);
  Process({.id = kWorker, .ticks = 50 + 600});
  EXPECT_EQ(Share({kWorker}), 0.1);
}

TEST_F(CpuLoad, IsNeverNegative) {
  Process({.id = kWorker});
  Share({kWorker});
  Processors(500, 500);
  Process({.id = kWorker, .ticks = 503});
  EXPECT_EQ(Share({kWorker}), 0.0);
}

TEST_F(CpuLoad, LeavesOutWhatOursStarted) {
  Process({.id = kDaemon});
  machine_.Write("proc/100/task/100/children", "200 ");
  Process({.id = kWorker, .parent = kDaemon});
  Share({kDaemon});
  Processors(800, 200);
  Process({.id = kWorker, .parent = kDaemon, .ticks = 800});
  EXPECT_EQ(Share({kDaemon}), 0.0);
}

TEST_F(CpuLoad, CountsAWorkerThatEndedWhereTheDaemonWaitedForIt) {
  Process({.id = kDaemon});
  Process({.id = kWorker, .parent = kDaemon, .ticks = 100});
  Share({kDaemon, kWorker});
  Processors(600, 400);
  End(kWorker);
  Process({.id = kDaemon, .children_ticks = 500});
  EXPECT_EQ(Share({kDaemon}), 0.2);
}

TEST_F(CpuLoad, IsNoneWhenOneOfOursEndedUnseen) {
  Process({.id = kWorker});
  Share({kWorker});
  Processors(900, 100);
  End(kWorker);
  EXPECT_EQ(Share({kWorker}), std::nullopt);
  Processors(1000, 1000);
  EXPECT_EQ(Share({}), 0.1);
}

TEST_F(CpuLoad, CountsAProcessOfOursThatStartedMeanwhile) {
  Share();
  Processors(500, 500);
  Process({.id = kWorker, .ticks = 500, .start = 100'050});
  EXPECT_EQ(Share({kWorker}), 0.0);
}

TEST_F(CpuLoad, IsNoneWhenAnOldProcessIsNewlyOurs) {
  Share();
  Processors(500, 500);
  Process({.id = kWorker, .ticks = 500, .start = 50});
  EXPECT_EQ(Share({kWorker}), std::nullopt);
}

TEST_F(CpuLoad, IsNoneWhenAnotherProcessHasTheId) {
  Process({.id = kWorker, .ticks = 10, .start = 10});
  Share({kWorker});
  Processors(500, 500);
  Process({.id = kWorker, .ticks = 20, .start = 100'020});
  EXPECT_EQ(Share({kWorker}), std::nullopt);
}

TEST_F(CpuLoad, IsNoneWhenCountersStepBack) {
  Processors(1000, 1000);
  Share();
  Processors(100, 5000);
  EXPECT_EQ(Share(), std::nullopt);
  Processors(200, 5300);
  EXPECT_EQ(Share(), 0.25);
}

TEST_F(CpuLoad, IsNoneWhenAProcessorCameOrWent) {
  Share();
  Stat("cpu  100 0 0 900 0 0 0 0 0 0", 1);
  EXPECT_EQ(Share(), std::nullopt);
  EXPECT_EQ(sensor().Read({}).processor_count, 1u);
}

TEST_F(CpuLoad, KeepsItsAnswerWhenAskedTwiceInAMoment) {
  Share();
  Processors(250, 750);
  EXPECT_EQ(Share(), 0.25);
  EXPECT_EQ(Share(), 0.25);
  Processors(253, 750);  // 3 ticks, of 20 that are wanted
  EXPECT_EQ(Share(), 0.25);
  Processors(350, 750);  // all 100 since the last that counted
  EXPECT_EQ(Share(), 1.0);
}

TEST_F(CpuLoad, NamesWhatCannotBeRead) {
  machine_.Remove("proc/stat");
  machine_.Remove("proc/meminfo");
  const CpuReading reading = sensor().Read({});
  EXPECT_EQ(reading.foreign_share, std::nullopt);
  EXPECT_EQ(reading.processor_count, 0u);
  EXPECT_THAT(reading.trouble,
              AllOf(HasSubstr("/stat cannot be read"), HasSubstr("/meminfo cannot be read")));
}

TEST_F(CpuLoad, SurvivesNonsense) {
  Share();
  for (const char* text : {"", "cpu", "cpu  1 2", "cpu  x 0 0 0 0 0 0 0", "cpu  -1 0 0 0 0 0 0 0",
                           "cpu  99999999999999999999 0 0 0 0 0 0 0"}) {
    Stat(text, 2);
    EXPECT_EQ(Share(), std::nullopt) << text;
  }
}

TEST_F(CpuLoad, TellsMemoryAndPressure) {
  machine_.Write("proc/pressure/cpu", "some avg10=13.50 avg60=3.68 avg300=2.07 total=7349193098");
  machine_.Write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0");
  const CpuReading reading = sensor().Read({});
  EXPECT_EQ(reading.memory_total_bytes, 8000u * 1024);
  EXPECT_EQ(reading.memory_available_bytes, 3000u * 1024);
  EXPECT_EQ(reading.pressure_share, 0.135);
  EXPECT_EQ(reading.memory_pressure_share, 0.0);
  EXPECT_EQ(reading.trouble, "");
}

TEST_F(CpuLoad, HasNoPressureWhereTheKernelDoesNotTell) {
  const CpuReading reading = sensor().Read({});
  EXPECT_EQ(reading.pressure_share, std::nullopt);
  EXPECT_EQ(reading.trouble, "");
}

TEST(ProcessStat, SurvivesAnyName) {
  for (const char* name : {"a b", ") S 1 (", "((", ""}) {
    const auto stat =
        ParseProcessStat(Text({.id = 5, .name = name, .parent = 7, .ticks = 11, .start = 13}));
    ASSERT_TRUE(stat.has_value()) << name;
    EXPECT_EQ(stat->parent, 7);
    EXPECT_EQ(stat->own_ticks, 11);
    EXPECT_EQ(stat->start_ticks, 13);
  }
  EXPECT_EQ(ParseProcessStat("5 (cut) S 1 1"), std::nullopt);
  EXPECT_EQ(ParseProcessStat(""), std::nullopt);
}

class Programs : public ::testing::Test {
 protected:
  void Process(const std::string& id, const std::string& name, const std::string& arguments,
               const std::string& file = "") {
    machine_.Write("proc/" + id + "/comm", name);
    machine_.WriteRaw("proc/" + id + "/cmdline", arguments);
    if (!file.empty()) machine_.Link("proc/" + id + "/exe", file);
  }
  std::vector<std::string> Names() { return RunningPrograms(machine_.folders()); }

  fallow::testing::MachineFolder machine_;
};

TEST_F(Programs, AreNamedByTheirFileAndWhatTheyCallThemselves) {
  Process("10", "blender", std::string("blender\0-b\0", 11), "/opt/blender-4/blender.real");
  Process("11", "blender", std::string("/usr/bin/blender\0", 17));
  machine_.Write("proc/uptime", "1 1");
  EXPECT_THAT(Names(), ElementsAre("blender", "blender.real"));
}

TEST_F(Programs, KeepTheWholeNameThatTheKernelCut) {
  Process("10", "a-very-long-pro", std::string("/opt/x/a-very-long-program-name\0", 32));
  EXPECT_THAT(Names(), ElementsAre("a-very-long-pro", "a-very-long-program-name"));
}

TEST_F(Programs, AreFoundUnderWine) {
  Process("10", "Grand Game.exe",
          std::string("C:\\Program Files\\Game/bin\\Grand Game.exe\0-windowed\0", 51),
          "/usr/lib/wine/wine64-preloader");
  EXPECT_THAT(Names(), ElementsAre("Grand Game.exe", "wine64-preloader"));
}

TEST_F(Programs, AreNamedThoughTheirFileWasReplaced) {
  Process("10", "game", "", "");
  Process("11", "game", std::string("game\0", 5), "/opt/game-1.2 (deleted)");
  EXPECT_THAT(Names(), ElementsAre("game", "game-1.2"));
}

TEST_F(Programs, LeaveOutKernelThreadsAndNamesThatNobodyCanRead) {
  Process("2", "kthreadd", "");
  Process("10", "ok", std::string("/bin/\xFF\xFE\0", 8));
  Process("11", "ok", std::string("/bin/a\nb\0", 9));
  Process("12", "ok", "/bin/" + std::string(300, 'x'));
  EXPECT_THAT(Names(), ElementsAre("ok"));
}

}  // namespace
}  // namespace fallow
