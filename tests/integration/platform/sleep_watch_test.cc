// The sleep watch against a logind that the test plays on a private bus.
#include "platform/sleep_watch.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <sstream>
#include <utility>
#include <vector>

#include "tests/integration/platform/bus_fixture.h"

namespace fallow {
namespace {

using fallow::testing::BusTest;
using fallow::testing::PlayedService;
using fallow::testing::RunUntil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Lends inhibitors, each the end of a pipe, as logind does: it is held while somebody has it open.
class PlayedLogind {
 public:
  PlayedLogind() {
    service_.Set("PreparingForSleep", false);
    service_.On("Inhibit", [this](sd_bus_message* call, sd_bus_message* reply) {
      const std::lock_guard lock(mutex_);
      if (refuses_) {
        // The empty answer that follows comes too late to count.
        sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.AccessDenied", "no");
        return;
      }
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
  void FallSilent(bool silent) { service_.FallSilent(silent); }
  void RefuseInhibitors() {
    const std::lock_guard lock(mutex_);
    refuses_ = true;
  }
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
  bool refuses_ = false;   // guarded by mutex_
  std::string asked_;      // guarded by mutex_
  std::vector<int> lent_;  // guarded by mutex_
};

// What is logged while it lives.
class LogLines {
 public:
  LogLines() {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~LogLines() { spdlog::set_default_logger(before_); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  int Count(std::string_view words) const {
    const std::string text = text_.str();
    int count = 0;
    for (auto at = text.find(words); at != text.npos; at = text.find(words, at + 1)) ++count;
    return count;
  }

 private:
  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
};

class Sleep : public BusTest {
 protected:
  // Reads whenever it is told to, and takes note of what is new.
  std::unique_ptr<SleepWatch> Watch() {
    auto opened = NewSleepWatch(*loop_);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    auto watch = *std::move(opened);
    const auto look = [this, raw = watch.get()] {
      last_ = raw->Read();
      if (std::exchange(preparing_, last_.preparing) != last_.preparing)
        told_.push_back(preparing_ ? "sleep" : "wake");
    };
    look();
    watch->OnChange(look);
    return watch;
  }
  bool AwaitTold(std::size_t count) {
    return RunUntil(*loop_, [&] { return told_.size() == count; });
  }
  bool AwaitHeld(int count) {
    return RunUntil(*loop_, [&] { return logind_.held() == count; });
  }

  bool AwaitKnown(bool known) {
    return RunUntil(*loop_, [&] { return last_.known == known; });
  }

  PlayedLogind logind_;
  SleepReading last_;
  bool preparing_ = false;
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
  EXPECT_THAT(told_, ElementsAre("sleep"));
  EXPECT_EQ(logind_.held(), 0) << "too late to make it wait";
}

TEST_F(Sleep, EndOfTheWatchLetsGo) {
  logind_.Start();
  auto watch = Watch();
  ASSERT_TRUE(AwaitHeld(1));
  watch = nullptr;
  EXPECT_TRUE(AwaitHeld(0));
}

TEST_F(Sleep, ALogindThatComesLaterIsFollowed) {
  const auto watch = Watch();
  EXPECT_FALSE(last_.known);
  EXPECT_THAT(last_.detail, HasSubstr("org.freedesktop.login1 is not running"));
  logind_.Start();
  ASSERT_TRUE(AwaitKnown(true));
  ASSERT_TRUE(AwaitHeld(1)) << "sleep does not wait for us";
  logind_.Prepare(true);
  ASSERT_TRUE(AwaitTold(1));
  watch->Ready();
  ASSERT_TRUE(AwaitHeld(0));
  logind_.Prepare(false);
  ASSERT_TRUE(AwaitTold(2));
  EXPECT_THAT(told_, ElementsAre("sleep", "wake"));
}

TEST_F(Sleep, ALogindThatHangsAtTheStartIsFollowedOnceItAnswers) {
  logind_.Start();
  logind_.FallSilent(true);
  const auto watch = Watch();
  EXPECT_FALSE(last_.known);
  logind_.FallSilent(false);
  ASSERT_TRUE(AwaitKnown(true));
  logind_.Prepare(true);
  EXPECT_TRUE(AwaitTold(1));
}

TEST_F(Sleep, ABusThatRestartsIsFollowed) {
  logind_.Start();
  const auto watch = Watch();
  logind_.Stop();
  private_bus_.Kill();
  ASSERT_TRUE(AwaitKnown(false));
  ASSERT_TRUE(private_bus_.Start());
  logind_.Start();
  ASSERT_TRUE(AwaitKnown(true));
  logind_.Prepare(true);
  EXPECT_TRUE(AwaitTold(1));
}

TEST_F(Sleep, WithoutLeaveToMakeItWaitSleepIsFollowedAllTheSame) {
  logind_.RefuseInhibitors();
  logind_.Start();
  const LogLines log;
  const auto watch = Watch();
  EXPECT_TRUE(last_.known);
  for (std::size_t told = 0; told < 4; ++told) {
    logind_.Prepare(told % 2 == 0);
    ASSERT_TRUE(AwaitTold(told + 1));
  }
  EXPECT_EQ(logind_.held(), 0);
  EXPECT_EQ(log.Count("will not wait for us"), 1) << "once is enough";
}

TEST_F(Sleep, NoBusIsUnavailable) {
  private_bus_.Kill();
  const auto watch = NewSleepWatch(*loop_);
  ASSERT_FALSE(watch.has_value());
  EXPECT_EQ(watch.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(watch.error().message, HasSubstr("the system bus"));
}

}  // namespace
}  // namespace fallow
