// The sleep watch against a logind that the test plays on a private bus.
#include "platform/sleep_watch.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <vector>

#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::PlayedService;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::WaitUntil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Lends inhibitors, each the end of a pipe, as logind does: it is held while somebody has it open.
class PlayedLogind {
 public:
  PlayedLogind() {
    service_.Set("PreparingForSleep", false);
    service_.On("Inhibit", [this](sd_bus_message* call, sd_bus_message* reply) {
      const std::lock_guard lock(mutex_);
      const char *what = nullptr, *who = nullptr, *why = nullptr, *mode = nullptr;
      sd_bus_message_read(call, "ssss", &what, &who, &why, &mode);
      asked_ = std::string(what) + " " + who + " " + mode;
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) return;
      lent_.push_back(ends[0]);
      sd_bus_message_append(reply, "h", ends[1]);
      close(ends[1]);
    });
  }
  ~PlayedLogind() {
    service_.Stop();
    for (const int end : lent_) close(end);
  }
  PlayedLogind(const PlayedLogind&) = delete;
  PlayedLogind& operator=(const PlayedLogind&) = delete;

  void Start() { service_.Start(); }
  void Stop() { service_.Stop(); }
  void Prepare(bool for_sleep) {
    service_.Set("PreparingForSleep", for_sleep);
    service_.Emit("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep",
                  "b", static_cast<int>(for_sleep));
  }
  // What was asked for last: what, who, mode.
  std::string asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  // Inhibitors that are held now.
  int held() const {
    const std::lock_guard lock(mutex_);
    int held = 0;
    for (const int end : lent_) {
      pollfd state{.fd = end, .events = POLLIN, .revents = 0};
      poll(&state, 1, 0);
      held += (state.revents & POLLHUP) == 0;
    }
    return held;
  }

 private:
  PlayedService service_{"org.freedesktop.login1"};
  mutable std::mutex mutex_;
  std::string asked_;      // guarded by mutex_
  std::vector<int> lent_;  // guarded by mutex_
};

class Sleep : public BusTest {
 protected:
  std::unique_ptr<SleepWatch> Watch() {
    auto watch = NewSleepWatch(*loop_, {.on_sleep = [this] { told_.push_back("sleep"); },
                                        .on_wake = [this] { told_.push_back("wake"); }});
    EXPECT_TRUE(watch.has_value()) << watch.error().message;
    return *std::move(watch);
  }
  bool AwaitTold(std::size_t count) {
    return RunUntil(*loop_, [&] { return told_.size() == count; });
  }
  bool AwaitHeld(int count) {
    return RunUntil(*loop_, [&] { return logind_.held() == count; });
  }

  PlayedLogind logind_;
  std::vector<std::string> told_;
};

TEST_F(Sleep, WaitsUntilEverythingIsGivenBack) {
  logind_.Start();
  const auto watch = Watch();
  EXPECT_EQ(logind_.asked(), "sleep Fallow delay");
  ASSERT_TRUE(AwaitHeld(1));
  logind_.Prepare(true);
  ASSERT_TRUE(AwaitTold(1));
  EXPECT_EQ(logind_.held(), 1) << "sleep waits for us";
  watch->Ready();
  ASSERT_TRUE(AwaitHeld(0));
  logind_.Prepare(false);
  ASSERT_TRUE(AwaitTold(2));
  ASSERT_TRUE(AwaitHeld(1));
  EXPECT_THAT(told_, ElementsAre("sleep", "wake"));
}

TEST_F(Sleep, ReadyThatComesTooLateDoesNotLetGoOfTheNextInhibitor) {
  logind_.Start();
  const auto watch = Watch();
  logind_.Prepare(true);
  ASSERT_TRUE(AwaitTold(1));
  logind_.Prepare(false);
  ASSERT_TRUE(AwaitTold(2));
  watch->Ready();
  EXPECT_EQ(logind_.held(), 1);
}

TEST_F(Sleep, RestartOfLogindIsSurvived) {
  logind_.Start();
  const auto watch = Watch();
  logind_.Stop();
  PlayedLogind next;
  next.Start();
  ASSERT_TRUE(RunUntil(*loop_, [&] { return next.held() == 1; })) << "no inhibitor of the new one";
  ASSERT_TRUE(AwaitHeld(0)) << "the old one's is kept";
  EXPECT_THAT(told_, ElementsAre());
  next.Prepare(true);
  ASSERT_TRUE(AwaitTold(1));
}

TEST_F(Sleep, LogindThatRestartsDuringSleepWakesUs) {
  logind_.Start();
  const auto watch = Watch();
  logind_.Prepare(true);
  ASSERT_TRUE(AwaitTold(1));
  logind_.Stop();
  PlayedLogind next;
  next.Start();
  ASSERT_TRUE(AwaitTold(2));
  EXPECT_THAT(told_, ElementsAre("sleep", "wake"));
}

TEST_F(Sleep, WatchThatBeginsDuringPreparationsTellsThem) {
  logind_.Start();
  logind_.Prepare(true);
  const auto watch = Watch();
  EXPECT_THAT(told_, ElementsAre()) << "not from inside the call";
  ASSERT_TRUE(AwaitTold(1));
  EXPECT_THAT(told_, ElementsAre("sleep"));
}

TEST_F(Sleep, EndOfTheWatchLetsGo) {
  logind_.Start();
  auto watch = Watch();
  ASSERT_TRUE(AwaitHeld(1));
  watch = nullptr;
  EXPECT_TRUE(AwaitHeld(0));
}

TEST_F(Sleep, NoLogindIsUnavailable) {
  const auto watch = NewSleepWatch(*loop_, {});
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(watch.error().message, HasSubstr("org.freedesktop.login1 is not running"));
}

}  // namespace
}  // namespace fallow
