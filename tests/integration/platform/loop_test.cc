#include "platform/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"

namespace fallow {
namespace {

using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

TEST(UvLoop, RunsTimersInOrderAndNeverInline) {
  const auto loop = NewMainLoop();
  const auto clock = NewSystemClock();
  std::vector<std::string> seen;
  std::unique_ptr<Timer> later, now, negative;
  SteadyTime begin;
  // Anew where this process was kept from the processor until the first was due before the others.
  do {
    begin = clock->Steady();
    later = loop->After(milliseconds(20), [&] { seen.push_back("later"); });
    now = loop->After(milliseconds(0), [&] { seen.push_back("now"); });
    negative = loop->After(milliseconds(-5), [&] { seen.push_back("negative"); });
  } while (clock->Steady() - begin > milliseconds(10));
  EXPECT_TRUE(seen.empty());
  EXPECT_TRUE(RunUntil(*loop, [&] { return seen.size() == 3; }));
  EXPECT_THAT(seen, ElementsAre("now", "negative", "later"));
}

TEST(UvLoop, TimerWaitsItsWholeDelayAfterALongCallback) {
  const auto loop = NewMainLoop();
  const auto clock = NewSystemClock();
  std::unique_ptr<Timer> inner;
  SteadyTime started;
  SteadyTime fired;
  const auto outer = loop->After(milliseconds(0), [&] {
    // A callback that keeps the loop from looking at the time.
    const SteadyTime begin = clock->Steady();
    while (clock->Steady() - begin < milliseconds(50)) {
    }
    started = clock->Steady();
    inner = loop->After(milliseconds(40), [&] {
      fired = clock->Steady();
      loop->Stop();
    });
  });
  loop->Run();
  EXPECT_GE(fired - started, milliseconds(39));
}

TEST(UvLoop, TimerMayDestroyItselfAndOthers) {
  const auto loop = NewMainLoop();
  int calls = 0;
  std::unique_ptr<Timer> timer, other;
  timer = loop->Every(milliseconds(5), [&] {
    timer = nullptr;
    other = nullptr;
    ++calls;
  });
  // Made after it: so it is due after it, however slow the machine is.
  other = loop->After(milliseconds(15), [&] { calls += 100; });
  RunFor(*loop, milliseconds(60));
  EXPECT_EQ(calls, 1);
}

TEST(UvLoop, RunsEveryPostFromManyThreads) {
  const auto loop = NewMainLoop();
  constexpr int kThreads = 4;
  constexpr int kPosts = 1000;
  int calls = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kPosts; ++j) loop->Post([&calls] { ++calls; });
    });
  }
  EXPECT_TRUE(RunUntil(*loop, [&] { return calls == kThreads * kPosts; }));
  for (std::thread& thread : threads) thread.join();
}

TEST(UvLoop, BlockingWorkRunsElsewhereAndAnswersHere) {
  const auto loop = NewMainLoop();
  std::thread::id work_thread;
  std::thread::id done_thread;
  loop->Blocking([&] { work_thread = std::this_thread::get_id(); },
                 [&] {
                   done_thread = std::this_thread::get_id();
                   loop->Stop();
                 });
  loop->Run();
  EXPECT_NE(work_thread, std::this_thread::get_id());
  EXPECT_EQ(done_thread, std::this_thread::get_id());
}

TEST(UvLoop, DestructionWaitsForWorkButCallsNobody) {
  std::atomic<bool> worked = false;
  bool done = false;
  bool posted = false;
  {
    const auto loop = NewMainLoop();
    loop->Blocking([&] { worked = true; }, [&] { done = true; });
    loop->Post([&] { posted = true; });
  }
  EXPECT_TRUE(worked);
  EXPECT_FALSE(done);
  EXPECT_FALSE(posted);
}

TEST(UvLoop, TerminationSignalBecomesACall) {
  const auto loop = NewMainLoop();
  int calls = 0;
  loop->OnTerminate([&] { ++calls; });
  kill(getpid(), SIGTERM);
  EXPECT_TRUE(RunUntil(*loop, [&] { return calls == 1; }));
  kill(getpid(), SIGINT);
  EXPECT_TRUE(RunUntil(*loop, [&] { return calls == 2; }));
}

// What nohup asks for.
TEST(UvLoop, IgnoredHangupStaysIgnored) {
  const auto previous = signal(SIGHUP, SIG_IGN);
  {
    const auto loop = NewMainLoop();
    int calls = 0;
    loop->OnTerminate([&] { ++calls; });
    kill(getpid(), SIGHUP);
    RunFor(*loop, milliseconds(20));
    EXPECT_EQ(calls, 0);
  }
  signal(SIGHUP, previous);
}

}  // namespace
}  // namespace fallow
