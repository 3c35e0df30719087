// Giving way on Linux.
//
// Why nice alone does not do: where the kernel groups processes by session (autogroups, on by
// default), priorities count only within a session, and each session gets an equal part. So a
// process needs both: the idle class against its neighbours in the group, and a group that weighs
// next to nothing. Control groups take the autogroup's place where they share the processors; there
// a process cannot help itself, and it is said which group stands in the way.
#include "platform/background.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "platform/linux/kernel_files.h"
#include "platform/linux/processor_group.h"
#include "platform/os.h"

namespace fallow {
namespace {

constexpr int kLowestNice = 19;
// ioprio_set(2): whose, and the idle class in the upper bits. The kernel's header for these is no
// C++ in some versions.
constexpr int kOneProcess = 1;
constexpr int kIdleDiskPriority = 3 << 13;
// Sleeps between slices are of some milliseconds: a little more, so that the machine wakes less
// often, does not spoil the pace.
constexpr unsigned long kTimerSlackNs = 1'000'000;
// The kernel lets 100 ms pass between two changes of autogroups, whoever makes them: enough tries
// for a few others who want one too.
constexpr std::chrono::milliseconds kAutogroupRetry{20};
constexpr int kAutogroupTries = 50;

// What was reached, and what was not and why.
class Account {
 public:
  void Add(std::string what, const Status& status) {
    if (status) {
      reached_.push_back(std::move(what));
    } else {
      missed_.push_back(fmt::format("{}: {}", what, status.error().message));
    }
  }
  std::string Text() const {
    std::string text = fmt::format("{}", fmt::join(reached_, ", "));
    if (!missed_.empty()) text += fmt::format(" (not reached: {})", fmt::join(missed_, "; "));
    return text;
  }

 private:
  std::vector<std::string> reached_;
  std::vector<std::string> missed_;
};

Status FromReturn(long value, std::string_view what) {
  if (value >= 0) return {};
  return std::unexpected(os::SystemError(what, errno));
}

bool IsTooSoon(const Status& changed) {
  return !changed && changed.error().code == ErrorCode::kUnavailable;
}

Status EnterIdleClass() {
  const sched_param none{};
  return FromReturn(::sched_setscheduler(0, SCHED_IDLE, &none),
                    "cannot enter the idle scheduling class");
}

// A session has an autogroup of its own. To write to that of the session we came from would slow
// down whoever started us.
//
// Waits where the kernel refuses a change so soon after another: that may have been made to the
// process that this one takes over from, and without ours it would work at full weight for hours.
Status EnterIdleAutogroup() {
  if (::getsid(0) != ::getpid()) {
    FALLOW_RETURN_IF_ERROR(FromReturn(::setsid(), "cannot start a session of its own"));
  }
  Status entered = SetHaste(::getpid(), Haste::kNone);
  for (int tries = 1; tries < kAutogroupTries && IsTooSoon(entered); ++tries) {
    std::this_thread::sleep_for(kAutogroupRetry);
    entered = SetHaste(::getpid(), Haste::kNone);
  }
  return entered;
}

Status EnterIdleDiskClass() {
  return FromReturn(::syscall(SYS_ioprio_set, kOneProcess, 0, kIdleDiskPriority),
                    "cannot lower its disk priority");
}

}  // namespace

Result<std::string> EnterBackground() {
  FALLOW_RETURN_IF_ERROR(EnterIdleClass());
  Account account;
  account.Add("SCHED_IDLE", {});
  // Counts nothing within the idle class, but shows in every task list whose work this is.
  account.Add(fmt::format("nice {}", kLowestNice), BeNice());
  account.Add(fmt::format("autogroup {}", kLowestNice), EnterIdleAutogroup());
  if (const auto group = GroupThatDoesNotGiveWay("/sys/fs/cgroup", "/proc/self")) {
    account.Add("idle control group",
                Fail(ErrorCode::kFailedPrecondition,
                     *group + " has a part of the processors of its own; give the service a slice "
                              "below the root with CPUWeight=idle"));
  }
  account.Add("idle disk class", EnterIdleDiskClass());
  account.Add("oom 1000", WriteKernelFile("/proc/self/oom_score_adj", "1000"));
  account.Add("timer slack 1 ms", FromReturn(::prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0),
                                             "cannot set its timers' slack"));
  return account.Text();
}

Status BeNice() {
  return FromReturn(::setpriority(PRIO_PROCESS, 0, kLowestNice), "cannot be nice");
}

Status SetHaste(std::int64_t process_id, Haste haste) {
  if (::getsid(static_cast<pid_t>(process_id)) != process_id) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("process {} does not lead a session of its own", process_id));
  }
  return WriteKernelFile(fmt::format("/proc/{}/autogroup", process_id),
                         std::to_string(haste == Haste::kHurry ? 0 : kLowestNice));
}

}  // namespace fallow
