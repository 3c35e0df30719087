#include "agent/daemon/worker_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fallow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

TEST(WorkerArguments, FollowsTheSettings) {
  Settings settings;
  settings.compute.backend = "cpu";
  settings.compute.threads = 3;
  settings.compute.max_sequences = 8;
  settings.load.min_free_memory_mib = settings.load.min_free_gpu_memory_mib = 0;
  EXPECT_THAT(WorkerArguments("warn", settings, {}),
              ElementsAre("--backend", "cpu", "--threads", "3", "--max-sequences", "8",
                          "--log-level", "warn"));
}

TEST(WorkerArguments, NamesCapsAndDeviceWhereThereAreAny) {
  Settings settings;
  settings.compute.device = "Radeon";
  settings.limits.memory_mib = 4096;
  settings.limits.gpu_memory_mib = 2048;
  EXPECT_THAT(WorkerArguments("info", settings, {}),
              IsSupersetOf({"--device", "Radeon", "--max-memory-mib", "4096",
                            "--max-gpu-memory-mib", "2048"}));
}

TEST(WorkerArguments, WhatChangedIsNamed) {
  Settings before, now;
  now.limits.memory_mib = 4096;
  now.compute.threads = 3;
  EXPECT_EQ(WorkerChangeText(before, now),
            "limits.memory_mib, compute.threads changed: a worker that ran is started anew");
  now.quiet.level_percent = 30;
  now.presence.owner_programs = {"steam"};
  EXPECT_EQ(WorkerChangeText(before, now),
            "limits.memory_mib, compute.threads changed: a worker that ran is started anew")
      << "of the rest the worker is not told";
  now = before;
  now.quiet.level_percent = 30;
  EXPECT_EQ(WorkerChangeText(before, now), "");
}

TEST(WorkerArguments, LeavesFreeWhatThePolicyWantsFree) {
  Settings settings;
  settings.load.min_free_memory_mib = 1000;
  settings.load.min_free_gpu_memory_mib = 513;
  EXPECT_THAT(WorkerArguments("info", settings, {}),
              IsSupersetOf({"--spare-memory-mib", "1250", "--spare-gpu-memory-mib", "642"}));
}

TEST(WorkerArguments, TakesTheGpusThatThePolicyLeaves) {
  Settings settings;
  settings.compute.backend = "cpu";
  settings.compute.device = "Radeon";
  const std::vector<std::string> gpus = {"0000:03:00.0", "0000:04:00.0"};
  const auto command = WorkerArguments("info", settings, gpus);
  EXPECT_THAT(command,
              IsSupersetOf({"--backend", "vulkan", "--device", "0000:03:00.0,0000:04:00.0"}));
  EXPECT_THAT(command, ::testing::Not(::testing::Contains("Radeon")));
}

}  // namespace
}  // namespace fallow
