// Goal: nothing that was acknowledged is lost, and the output is the same, whatever dies.
// Method: a batch of 2,000 real requests runs on the real programs; at ten points of its progress
// the coordinator or the agent is killed with SIGKILL and started again. Its output must equal that
// of an undisturbed run, byte for byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/stack.h"

namespace fallow::testing {
namespace {

constexpr int kKillCount = 10;
constexpr auto kBatchTimeout = std::chrono::seconds(300);  // against hanging alone
const std::string kBatch =
    std::string(FALLOW_SOURCE_DIR) + "/examples/field-normalizer/batch-2000.jsonl";

class Crash : public ::testing::Test {
 protected:
  void StartAll(Stack& stack) {
    ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
    ASSERT_NO_FATAL_FAILURE(stack.LogIn());
    ASSERT_NO_FATAL_FAILURE(stack.AddDemoModel());
    ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
  }

  std::string Submit(Stack& stack) {
    const Finished submitted = stack.Run({"--json", "submit", kBatch});
    EXPECT_EQ(submitted.exit_code, 0) << submitted.output << stack.Logs();
    return nlohmann::json::parse(submitted.output).at("id").get<std::string>();
  }

  struct Progress {
    std::string state;
    long completed = -1;  // -1: the coordinator did not answer
    long failed = 0;
  };
  Progress Look(Stack& stack, const std::string& job) {
    const Finished shown = stack.Run({"--json", "jobs", job});
    if (shown.exit_code != 0) return {};
    const auto json = nlohmann::json::parse(shown.output);
    const auto& counts = json.at("request_counts");
    return {json.at("status"), counts.at("completed"), counts.at("failed")};
  }

  std::string Output(Stack& stack, const std::string& job) {
    const std::string path = stack.folder() + "/out.jsonl";
    const Finished finished = stack.Run({"results", job, "-o", path});
    EXPECT_EQ(finished.exit_code, 0) << stack.Logs();
    return ReadFile(path);
  }
};

TEST_F(Crash, TenKillsLoseNothingAndChangeNothing) {
  std::string undisturbed;
  {
    Stack stack;
    ASSERT_NO_FATAL_FAILURE(StartAll(stack));
    const std::string job = Submit(stack);
    ASSERT_TRUE(WaitUntil([&] { return Look(stack, job).state == "completed"; }, kBatchTimeout))
        << stack.Logs();
    undisturbed = Output(stack, job);
    ASSERT_EQ(std::ranges::count(undisturbed, '\n'), 2000);
  }

  // One compute thread, so that the run lasts long enough to be killed ten times.
  Stack stack({.backend = "cpu", .agent_arguments = {"--threads", "1"}});
  ASSERT_NO_FATAL_FAILURE(StartAll(stack));
  const std::string job = Submit(stack);
  long most_completed = 0;
  int kills_while_running = 0;
  for (int kill = 0; kill < kKillCount; ++kill) {
    // In the first half of the batch: between a look and the kill the agent computes on, and on a
    // busy machine much.
    const long threshold = 2000 * (kill + 1) / (2 * kKillCount);
    Progress progress;
    ASSERT_TRUE(WaitUntil(
        [&] {
          progress = Look(stack, job);
          return progress.completed >= threshold;
        },
        kBatchTimeout))
        << "no progress after kill " << kill << "\n"
        << stack.Logs();
    EXPECT_GE(progress.completed, most_completed) << "acknowledged results were lost";
    most_completed = std::max(most_completed, progress.completed);
    if (progress.state == "in_progress") ++kills_while_running;
    if (kill % 2 == 0) {
      stack.coordinator().Kill();
      ASSERT_NO_FATAL_FAILURE(stack.StartCoordinator());
    } else {
      stack.agent().Kill();
      ASSERT_NO_FATAL_FAILURE(stack.StartAgent());
    }
    const Progress after = Look(stack, job);
    EXPECT_GE(after.completed, most_completed) << "acknowledged results were lost";
  }
  EXPECT_EQ(kills_while_running, kKillCount) << "the batch ended before it could be disturbed";
  ASSERT_TRUE(WaitUntil([&] { return Look(stack, job).state == "completed"; }, kBatchTimeout))
      << stack.Logs();
  EXPECT_EQ(Look(stack, job).failed, 0);
  EXPECT_EQ(Output(stack, job), undisturbed);
}

}  // namespace
}  // namespace fallow::testing
