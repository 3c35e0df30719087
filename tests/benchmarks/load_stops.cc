#include "tests/benchmarks/load_stops.h"

#include <fmt/format.h>

#include <memory>
#include <random>

#include "agent/daemon/worker_supervisor.h"
#include "platform/background.h"
#include "platform/system.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

class LoadStops {
 public:
  explicit LoadStops(const LoadStopOptions& options)
      : options_(options),
        worker_(*loop_, *clock_, *random_, *launcher_,
                {.command = options.worker, .set_haste = SetHaste}) {
    worker_.SetEvents({.on_ready = [this](const WorkerReady&, bool) { OnReady(); },
                       .on_model_ready =
                           [this](const ModelReady& ready) {
                             if (ready.path == options_.model_before) return BeginLoad();
                             OnModelReady();
                           },
                       .on_model_failed = [this](const Error& error) { Quit(error); },
                       .on_finished = [](RequestFinished) {},
                       .on_progress = [](const WorkProgress&) {},
                       .on_lost = [this](const Error& error) { Quit(error); }});
  }

  Result<LoadStopFigures> Run() {
    const auto late = loop_->After(options_.patience, [this] {
      Quit({ErrorCode::kDeadlineExceeded,
            fmt::format("{} of {} stops within {} s", figures_.stops_ms.size(), options_.stops,
                        options_.patience.count())});
    });
    worker_.Start();
    loop_->Run();
    if (!status_.has_value()) return std::unexpected(status_.error());
    return figures_;
  }

 private:
  // A process is ready: the stop of the one before it, if it had work in hand, is over.
  void OnReady() {
    if (worker_.yields().summary().count > figures_.stops_ms.size()) {
      const Yield& yield = *worker_.yields().summary().last;
      figures_.stops_ms.push_back(
          std::chrono::duration<double, std::milli>(yield.latency()).count());
      figures_.killed_count += yield.how == Yield::How::kKilled ? 1 : 0;
    }
    if (figures_.stops_ms.size() == static_cast<std::size_t>(options_.stops)) return loop_->Stop();
    if (options_.model_before.empty()) return BeginLoad();
    worker_.Send(LoadModel{options_.model_before});
  }

  void BeginLoad() {
    load_start_ = clock_->Steady();
    worker_.Send(LoadModel{options_.model});
    if (figures_.load_time.count() == 0) return;
    std::uniform_int_distribution<std::int64_t> moment(0, figures_.load_time.count());
    timer_ = loop_->After(milliseconds(moment(moments_)), [this] { StopAndStartAnew(); });
  }

  // Before its time: another try.
  void OnModelReady() {
    if (figures_.load_time.count() == 0) {
      figures_.load_time =
          std::chrono::ceil<milliseconds>(clock_->Steady() - load_start_) + milliseconds(1);
    }
    StopAndStartAnew();
  }

  void StopAndStartAnew() {
    timer_.reset();
    worker_.Stop({.keep_memory = false, .input_at = clock_->Steady()});
    worker_.Start();
  }

  void Quit(const Error& error) {
    status_ = std::unexpected(error);
    loop_->Stop();
  }

  const LoadStopOptions& options_;
  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<Clock> clock_ = NewSystemClock();
  std::unique_ptr<Random> random_ = NewSystemRandom();
  std::unique_ptr<SubprocessLauncher> launcher_ = NewSubprocessLauncher(*loop_);
  std::mt19937 moments_{1};
  LoadStopFigures figures_;
  Status status_;
  SteadyTime load_start_{};
  std::unique_ptr<Timer> timer_;
  WorkerSupervisor worker_;
};

}  // namespace

Result<LoadStopFigures> MeasureLoadStops(const LoadStopOptions& options) {
  return LoadStops(options).Run();
}

}  // namespace fallow
