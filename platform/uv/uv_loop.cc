#include "platform/uv/uv_loop.h"

#include <csignal>
#include <utility>

#include "base/check.h"
#include "platform/os.h"

namespace fallow {
namespace {

// Lives until libuv lets go of the handle, which may be after the Timer that owned it.
struct TimerState {
  uv_timer_t handle{};
  std::function<void()> fn;
};

class UvTimer : public Timer {
 public:
  explicit UvTimer(TimerState* state) : state_(state) {}
  ~UvTimer() override {
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
             [](uv_handle_t* handle) { delete static_cast<TimerState*>(handle->data); });
  }
  UvTimer(const UvTimer&) = delete;
  UvTimer& operator=(const UvTimer&) = delete;

 private:
  TimerState* state_;
};

struct BlockingWork {
  uv_work_t request{};
  std::function<void()> work;
  std::function<void()> done;
  const bool* loop_is_ending;
};

// A program started by nohup is to live on when its terminal goes.
bool IsIgnored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

std::uint64_t Milliseconds(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
}

}  // namespace

Error UvError(std::string_view what, int status) {
  return os::SystemError(what, -status);
}

UvLoop::UvLoop() {
  os::IgnoreBrokenPipes();
  FALLOW_CHECK(uv_loop_init(&loop_) == 0);
  loop_.data = this;
  FALLOW_CHECK(uv_async_init(&loop_, &wake_up_, [](uv_async_t* handle) {
                 static_cast<UvLoop*>(handle->data)->RunPosted();
               }) == 0);
  wake_up_.data = this;
}

UvLoop::~UvLoop() {
  ending_ = true;
  // What the dropped calls own may hold handles of this loop, so it goes first.
  while (!posted_.empty()) {
    const auto dropped = std::exchange(posted_, {});
  }
  for (const auto& signal : signals_) {
    uv_close(reinterpret_cast<uv_handle_t*>(signal.get()), nullptr);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_up_), nullptr);
  // Lets handles close, killed children be reaped and work in threads end.
  while (uv_run(&loop_, UV_RUN_DEFAULT) != 0) {
  }
  FALLOW_CHECK(uv_loop_close(&loop_) == 0);
}

uv_loop_t* UvLoop::Of(Loop& loop) {
  auto* uv_loop = dynamic_cast<UvLoop*>(&loop);
  FALLOW_CHECK(uv_loop != nullptr);
  return &uv_loop->loop_;
}

std::unique_ptr<Timer> UvLoop::StartTimer(std::chrono::milliseconds delay,
                                          std::chrono::milliseconds period,
                                          std::function<void()> fn) {
  auto* state = new TimerState{.fn = std::move(fn)};
  state->handle.data = state;
  FALLOW_CHECK(uv_timer_init(&loop_, &state->handle) == 0);
  // libuv counts from its cached time, which a long callback leaves behind.
  uv_update_time(&loop_);
  FALLOW_CHECK(uv_timer_start(
                   &state->handle,
                   [](uv_timer_t* handle) { static_cast<TimerState*>(handle->data)->fn(); },
                   Milliseconds(delay), Milliseconds(period)) == 0);
  return std::make_unique<UvTimer>(state);
}

std::unique_ptr<Timer> UvLoop::After(std::chrono::milliseconds delay, std::function<void()> fn) {
  return StartTimer(delay, std::chrono::milliseconds(0), std::move(fn));
}

std::unique_ptr<Timer> UvLoop::Every(std::chrono::milliseconds period, std::function<void()> fn) {
  FALLOW_CHECK(period.count() > 0);
  return StartTimer(period, period, std::move(fn));
}

void UvLoop::Post(std::function<void()> fn) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(fn));
  }
  uv_async_send(&wake_up_);
}

void UvLoop::RunPosted() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (auto& call : calls) {
    call();
    call = nullptr;
  }
}

void UvLoop::Blocking(std::function<void()> work, std::function<void()> done) {
  auto* job = new BlockingWork{
      .work = std::move(work), .done = std::move(done), .loop_is_ending = &ending_};
  job->request.data = job;
  FALLOW_CHECK(uv_queue_work(
                   &loop_, &job->request,
                   [](uv_work_t* request) { static_cast<BlockingWork*>(request->data)->work(); },
                   [](uv_work_t* request, int) {
                     const std::unique_ptr<BlockingWork> ended(
                         static_cast<BlockingWork*>(request->data));
                     if (!*ended->loop_is_ending && ended->done) ended->done();
                   }) == 0);
}

void UvLoop::Run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void UvLoop::Stop() {
  uv_stop(&loop_);
}

void UvLoop::OnTerminate(std::function<void()> fn) {
  on_terminate_ = std::move(fn);
  if (!signals_.empty()) return;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    if (number == SIGHUP && IsIgnored(SIGHUP)) continue;
    auto signal = std::make_unique<uv_signal_t>();
    FALLOW_CHECK(uv_signal_init(&loop_, signal.get()) == 0);
    signal->data = this;
    FALLOW_CHECK(uv_signal_start(
                     signal.get(),
                     [](uv_signal_t* handle, int) {
                       // A copy: it may set another.
                       const auto call = static_cast<UvLoop*>(handle->data)->on_terminate_;
                       call();
                     },
                     number) == 0);
    signals_.push_back(std::move(signal));
  }
}

std::unique_ptr<MainLoop> NewMainLoop() {
  return std::make_unique<UvLoop>();
}

}  // namespace fallow
