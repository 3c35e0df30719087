// Sleep by systemd-logind: a delay inhibitor while the machine is awake, and PreparingForSleep,
// looked at whenever PrepareForSleep says that it changed, and after a restart of logind.
#include "platform/sleep_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "platform/linux/logind.h"
#include "platform/linux/service_watch.h"
#include "platform/os.h"

namespace fallow {
namespace {

using std::chrono::steady_clock;

// To an inhibitor that logind did not lend in time; tried by a Read alone, no timer runs for it.
constexpr std::chrono::milliseconds kInhibitorRetry{30'000};

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
  explicit LogindSleepWatch(Loop& loop)
      : logind_(loop, Bus::Which::kSystem, {{LogindManager(), "PrepareForSleep"}}) {}

  bool connected() const { return logind_.connected(); }

  SleepReading Read() override {
    if (next_try_ && steady_clock::now() >= *next_try_) logind_.AskAnew();
    const Status& told = logind_.Refresh([this](Bus& bus) -> Status {
      next_try_.reset();
      FALLOW_ASSIGN_OR_RETURN(preparing_, bus.PropertyBool(LogindManager(), "PreparingForSleep"));
      // Awake, or awake again. A new logind's inhibitor takes the place of the old one's.
      if (!preparing_) HoldInhibitor(bus);
      return {};
    });
    return {.source = "logind",
            .known = told.has_value(),
            .preparing = preparing_,
            .detail = told ? "" : told.error().message};
  }

  void OnChange(std::function<void()> fn) override { logind_.OnChange(std::move(fn)); }

  // One that comes late, after the machine is awake again, must not let go of the next inhibitor.
  void Ready() override {
    if (preparing_) inhibitor_.Release();
  }

 private:
  void HoldInhibitor(Bus& bus) {
    auto inhibitor = TakeInhibitor(bus);
    if (inhibitor) {
      inhibitor_.Hold(*inhibitor);
      trouble_.clear();
      return;
    }
    // logind asks polkit, which may only be starting. A refusal stands until the next sleep.
    if (inhibitor.error().code == ErrorCode::kDeadlineExceeded)
      next_try_ = steady_clock::now() + kInhibitorRetry;
    if (std::exchange(trouble_, inhibitor.error().message) == inhibitor.error().message) return;
    LOG_WARN("sleep: the machine will not wait for us, and work that is under way then is lost: {}",
             trouble_);
  }

  bool preparing_ = false;  // as logind said last
  Inhibitor inhibitor_;
  std::string trouble_;  // why there is none, as it was said last
  std::optional<steady_clock::time_point> next_try_;
  ServiceWatch logind_;
};

}  // namespace

Result<std::unique_ptr<SleepWatch>> NewSleepWatch(Loop& loop) {
  auto watch = std::make_unique<LogindSleepWatch>(loop);
  const SleepReading first = watch->Read();
  if (!watch->connected()) return Fail(ErrorCode::kUnavailable, first.detail);
  return watch;
}

}  // namespace fallow
