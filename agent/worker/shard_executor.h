// A ShardExecutor does what the daemon commands: it loads models, runs requests in one continuous
// batch, and sends back each as it finishes.
//
// Threading: one thread, the computing one.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "agent/worker/inbox.h"
#include "base/clock.h"
#include "base/result.h"
#include "engine/runner.h"
#include "protocol/worker_messages.h"

namespace fallow {

inline constexpr std::chrono::milliseconds kProgressPeriod{1000};

// The model that is loaded and the runner that generates with it.
class ModelHost {
 public:
  virtual ~ModelHost() = default;
  // Frees the model before, whether or not the new one loads. kCancelled when it was stopped: a
  // next call for the same path may go on where this one was.
  virtual Result<ModelReady> Load(const std::string& path, const engine::StepControl& control) = 0;
  virtual engine::Runner* runner() = 0;  // null without a model
};

class ShardExecutor {
 public:
  using Send = std::function<Status(const FromWorker&)>;

  // All must outlive the executor. `send` fails when the daemon no longer listens.
  ShardExecutor(Inbox& inbox, ModelHost& host, const Clock& clock, Send send);

  // Returns when the input has ended: the inbox's end status, or the error that made going on
  // useless. That error has been sent as WorkerFailure.
  Status Run();

 private:
  Status RunLoop();
  Status Obey(Inbox::Command command);
  Status Step();
  bool idle();

  Inbox& inbox_;
  ModelHost& host_;
  const Clock& clock_;
  Send send_;
  SteadyTime last_progress_{};
};

}  // namespace fallow
