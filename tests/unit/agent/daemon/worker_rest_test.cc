// A parked worker: it rests, or goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/daemon/supervisor_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Fixture = SupervisorFixture;

TEST(WorkerSupervisor, KillsAParkedWorkerThatDoesNotRest) {
  Fixture f;
  f.processor_time = 90s;  // it worked before
  f.Park();
  f.loop.Advance(5s);
  f.worker.LookAtRest();
  EXPECT_FALSE(f.child().killed);
  f.processor_time = 93s;
  f.loop.Advance(5s);
  f.worker.LookAtRest();
  EXPECT_TRUE(f.child().killed);
  EXPECT_EQ(f.worker.state_name(), "leaving");
  f.child().Exit({.code = -1, .signal = 9});
  f.loop.RunPending();
  EXPECT_EQ(f.worker.state_name(), "stopped");
  EXPECT_TRUE(f.events.empty()) << "no session has lost anything";
  EXPECT_EQ(f.worker.loss_count(), 1);
  EXPECT_THAT(f.worker.last_trouble(),
              HasSubstr("while parked the worker took 3000 ms of processor time within 10000 ms"));
  EXPECT_THAT(f.worker.last_trouble(), HasSubstr("no more than 600 ms"));
  f.worker.Start();
  EXPECT_EQ(f.launcher.children().size(), 2u) << "the next is started at once";
}

TEST(WorkerSupervisor, LooksAtTheRestOfAParkedWorkerAlone) {
  Fixture f;
  f.worker.LookAtRest();
  f.BecomeReady();
  f.processor_time = 1h;
  f.worker.LookAtRest();
  EXPECT_EQ(f.processor_time_reads, 0);
  f.worker.Stop({.keep_memory = true});
  f.worker.LookAtRest();
  f.Says(Stopped{});
  f.loop.Advance(24h);
  EXPECT_EQ(f.processor_time_reads, 1) << "no timer of its own: once when it is parked";
  f.worker.Start();
  f.processor_time = 2h;
  f.worker.LookAtRest();
  EXPECT_TRUE(f.worker.ready()) << "it works rightly";
  f.worker.Stop({.keep_memory = true});
  f.Says(Stopped{});
  f.worker.LookAtRest();
  EXPECT_TRUE(f.worker.parked()) << "what it took before does not count";
}

TEST(WorkerSupervisor, AParkedWorkerWhoseTimeCannotBeReadIsLeftAlone) {
  Fixture f;
  f.processor_time = std::nullopt;
  f.Park();
  f.loop.Advance(5s);
  f.worker.LookAtRest();
  EXPECT_TRUE(f.worker.parked());
}

}  // namespace
}  // namespace fallow
