#include "platform/background.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "platform/linux/processor_group.h"
#include "platform/system.h"
#include "tests/unit/platform/machine_folder.h"

namespace fallow {
namespace {

class ProcessorGroup : public ::testing::Test {
 protected:
  std::optional<std::string> Find(const std::string& memberships) {
    machine_.Write("proc/self/cgroup", memberships);
    return GroupThatDoesNotGiveWay(machine_.At("cgroups"), machine_.At("proc/self"));
  }
  void Group(const std::string& path, const std::string& weight, const std::string& idle) {
    machine_.Write("cgroups/" + path + "/cpu.weight", weight);
    machine_.Write("cgroups/" + path + "/cpu.idle", idle);
  }

  fallow::testing::MachineFolder machine_;
};

TEST_F(ProcessorGroup, IsTheOutermostThatWeighsAnything) {
  Group("system.slice", "100", "0");
  Group("system.slice/fallow.service", "1", "1");
  EXPECT_EQ(Find("0::/system.slice/fallow.service"), "system.slice (cpu.weight 100)");
}

TEST_F(ProcessorGroup, GivesWayWhenTheOutermostIsIdle) {
  Group("fallow.slice", "0", "1");
  Group("fallow.slice/fallow.service", "100", "0");
  EXPECT_EQ(Find("0::/fallow.slice/fallow.service"), std::nullopt);
}

TEST_F(ProcessorGroup, DoesNotMatterWhereItSharesNoProcessors) {
  machine_.MakeFolder("cgroups/user.slice");
  EXPECT_EQ(Find("0::/user.slice"), std::nullopt);
  EXPECT_EQ(Find("0::/"), std::nullopt);
  EXPECT_EQ(Find(""), std::nullopt);
  EXPECT_EQ(Find("nonsense\n:\n::"), std::nullopt);
}

TEST_F(ProcessorGroup, IsFoundInTheOldHierarchiesToo) {
  machine_.Write("cgroups/cpu,cpuacct/docker/cpu.shares", "1024");
  EXPECT_EQ(Find("9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\n0::/"),
            "docker (cpu.shares 1024)");
}

TEST(ProcessorTime, IsSomeOfThisProcessAndNoneOfOneThatIsNot) {
  EXPECT_GE(ProcessorTime(ProcessId()).value_or(std::chrono::milliseconds(-1)).count(), 0);
  EXPECT_EQ(ProcessorTime(1 << 30), std::nullopt);
}

TEST(ResidentBytes, AreSomeOfThisProcessAndNoneOfOneThatIsNot) {
  EXPECT_GT(ResidentBytes(ProcessId()).value_or(0), 1u << 20);
  EXPECT_EQ(ResidentBytes(1 << 30), std::nullopt);
}

std::uint64_t KilobytesOf(const char* key) {
  const std::string status = fallow::testing::ReadFile("/proc/self/status");
  const auto at = status.find(key);
  return at == std::string::npos
             ? 0
             : std::strtoull(status.c_str() + at + std::strlen(key), nullptr, 10);
}

// Uses much of the programs' files: formatting, locales, exceptions, the loader.
std::string WorkHard() {
  std::string text;
  for (int i = 0; i < 100; ++i) {
    try {
      text += fmt::format("{:>8.3f} {:x}\n", i / 7.0, i);
      if (i % 3 == 0) throw std::runtime_error(text);
    } catch (const std::exception& error) {
      text = error.what();
    }
  }
  std::ostringstream stream;
  stream << std::setprecision(12) << 3.25 << " " << text.size();
  return text + stream.str();
}

TEST(TrimResidentMemory, GivesBackFreeHeap) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  // Freed, but under one that stays: the heap's top cannot fall.
  std::vector<std::unique_ptr<std::string>> blocks;
  for (int i = 0; i < 40'000; ++i) blocks.push_back(std::make_unique<std::string>(1000, 'x'));
  blocks.erase(blocks.begin(), blocks.end() - 1);
  const std::uint64_t heap_kib = KilobytesOf("RssAnon:");
  TrimResidentMemory();
  EXPECT_LT(KilobytesOf("RssAnon:") + (20 << 10), heap_kib);
  EXPECT_EQ(*blocks.back(), std::string(1000, 'x'));
}

TEST(TrimResidentMemory, GivesBackProgramFilesAndTheProcessWorksOn) {
  const std::string before = WorkHard();
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t files_kib = KilobytesOf("RssFile:");
    TrimResidentMemory();
    EXPECT_LT(KilobytesOf("RssFile:"), files_kib);
    EXPECT_EQ(WorkHard(), before);
  }
}

}  // namespace
}  // namespace fallow
