// Sleep by systemd-logind: a delay inhibitor while the machine is awake, and PreparingForSleep,
// looked at whenever PrepareForSleep says that it changed, and after a restart of logind.
#include "platform/sleep_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "platform/linux/logind.h"
#include "platform/linux/service_watch.h"
#include "platform/os.h"

namespace fallow {
namespace {

// Sleep waits as long as this is open.
class Inhibitor {
 public:
  Inhibitor() = default;
  ~Inhibitor() { Release(); }
  Inhibitor(const Inhibitor&) = delete;
  Inhibitor& operator=(const Inhibitor&) = delete;

  void Hold(int descriptor) {
    Release();
    descriptor_ = descriptor;
  }
  void Release() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_ = -1;
};

Result<int> TakeInhibitor(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const BusMessage reply,
                          bus.Call(LogindManager(), "Inhibit", "ssss", "sleep", "Fallow",
                                   "gives its work back first", "delay"));
  int lent = -1;
  if (sd_bus_message_read(reply.get(), "h", &lent) <= 0)
    return Fail(ErrorCode::kDataLoss, "logind gave no inhibitor");
  const int kept = ::fcntl(lent, F_DUPFD_CLOEXEC, 0);  // the message closes its own
  if (kept < 0) return std::unexpected(os::SystemError("cannot keep logind's inhibitor", errno));
  return kept;
}

class LogindSleepWatch : public SleepWatch {
 public:
  LogindSleepWatch(Loop& loop, Events events)
      : loop_(loop),
        events_(std::move(events)),
        logind_(loop, Bus::Which::kSystem, {{LogindManager(), "PrepareForSleep"}}) {}

  Status Open() {
    FALLOW_RETURN_IF_ERROR(Look());
    logind_.OnChange([this] { LookAndTell(); });
    // We came in the middle of it: nothing else will say so.
    if (preparing_) {
      loop_.Post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) Tell();
      });
    }
    return {};
  }

  // One that comes late, after the machine is awake again, must not let go of the next inhibitor.
  void Ready() override {
    if (preparing_) inhibitor_.Release();
  }

 private:
  Status Look() {
    return logind_.Refresh([this](Bus& bus) -> Status {
      FALLOW_ASSIGN_OR_RETURN(preparing_, bus.PropertyBool(LogindManager(), "PreparingForSleep"));
      if (preparing_) return {};
      // Awake, or awake again. A new logind's inhibitor takes the place of the old one's.
      auto inhibitor = TakeInhibitor(bus);
      if (inhibitor) {
        inhibitor_.Hold(*inhibitor);
      } else {
        LOG_WARN("sleep: the machine will not wait for us: {}", inhibitor.error().message);
      }
      return {};
    });
  }

  void LookAndTell() {
    if (Look()) Tell();
  }

  void Tell() {
    if (std::exchange(told_sleep_, preparing_) == preparing_) return;
    const auto tell = preparing_ ? events_.on_sleep : events_.on_wake;
    if (tell) tell();
  }

  Loop& loop_;
  const Events events_;
  bool preparing_ = false;   // as logind said last
  bool told_sleep_ = false;  // as we said last
  Inhibitor inhibitor_;
  ServiceWatch logind_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace

Result<std::unique_ptr<SleepWatch>> NewSleepWatch(Loop& loop, SleepWatch::Events events) {
  auto watch = std::make_unique<LogindSleepWatch>(loop, std::move(events));
  if (auto opened = watch->Open(); !opened)
    return Fail(ErrorCode::kUnavailable, std::move(opened).error().message);
  return watch;
}

}  // namespace fallow
