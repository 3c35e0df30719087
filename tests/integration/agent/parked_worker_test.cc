// The supervisor with a real process that says it has stopped, and works on all the same.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/daemon/worker_supervisor.h"
#include "platform/background.h"
#include "platform/system.h"
#include "protocol/worker_messages.h"
#include "tests/integration/platform/run_loop.h"

namespace fallow {
namespace {

using fallow::testing::RunUntil;
using ::testing::HasSubstr;

// For a shell's printf.
std::string Escaped(const Bytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("\\{:03o}", byte);
  return text;
}

// A worker by its words: ready at once, stopped when it is told to stop. Then it does `afterwards`.
std::vector<std::string> Worker(const std::string& afterwards) {
  return {"/bin/sh", "-c",
          fmt::format("printf '{}'; head -c {} > /dev/null; printf '{}'; {}",
                      Escaped(EncodeFrame(FromWorker(WorkerReady{.processor = "p"}))),
                      EncodeFrame(ToWorker(StopWork{})).size(),
                      Escaped(EncodeFrame(FromWorker(Stopped{}))), afterwards)};
}

struct Fixture {
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  std::unique_ptr<Clock> clock = NewSystemClock();
  std::unique_ptr<Random> random = NewSystemRandom();
  std::unique_ptr<SubprocessLauncher> launcher = NewSubprocessLauncher(*loop);
  WorkerSupervisor worker;

  explicit Fixture(const std::string& afterwards)
      : worker(*loop, *clock, *random, *launcher,
               {.command = Worker(afterwards),
                .stop_patience = std::chrono::seconds(60),  // a shell on a busy machine
                .processor_time = ProcessorTime}) {
    worker.SetEvents({.on_ready = [](const WorkerReady&, bool) {},
                      .on_model_ready = [](const ModelReady&) {},
                      .on_model_failed = [](const Error&) {},
                      .on_finished = [](RequestFinished) {},
                      .on_progress = [](const WorkProgress&) {},
                      .on_lost = [](const Error& why) { ADD_FAILURE() << why.message; }});
  }
  void Park() {
    worker.Start();
    ASSERT_TRUE(RunUntil(*loop, [&] { return worker.ready(); }));
    worker.Stop({.keep_memory = true});
    ASSERT_TRUE(RunUntil(*loop, [&] { return worker.parked(); }));
  }
};

TEST(ParkedWorker, OneThatBurnsProcessorTimeIsKilledAndNamed) {
  Fixture f("while :; do :; done");
  ASSERT_NO_FATAL_FAILURE(f.Park());
  EXPECT_TRUE(RunUntil(*f.loop, [&] {
    f.worker.LookAtRest();
    return f.worker.state_name() == "stopped";
  }));
  EXPECT_EQ(f.worker.loss_count(), 1);
  EXPECT_THAT(f.worker.last_trouble(), HasSubstr("while parked the worker took"));
}

TEST(ParkedWorker, OneThatWaitsIsLeftAlone) {
  Fixture f("cat > /dev/null");
  ASSERT_NO_FATAL_FAILURE(f.Park());
  for (int look = 0; look < 100; ++look) f.worker.LookAtRest();
  EXPECT_TRUE(f.worker.parked());
  f.worker.Stop({.keep_memory = false});
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return f.worker.state_name() == "stopped"; }));
  EXPECT_EQ(f.worker.loss_count(), 0);
}

}  // namespace
}  // namespace fallow
