#include "agent/worker/shard_executor.h"

#include <utility>

#include "base/overloaded.h"

namespace fallow {

ShardExecutor::ShardExecutor(Inbox& inbox, ModelHost& host, const Clock& clock, Send send)
    : inbox_(inbox), host_(host), clock_(clock), send_(std::move(send)) {}

Status ShardExecutor::Run() {
  Status status = RunLoop();
  if (!status) (void)send_(WorkerFailure{status.error()});
  return status;
}

bool ShardExecutor::idle() {
  return host_.runner() == nullptr || host_.runner()->idle();
}

Status ShardExecutor::RunLoop() {
  while (true) {
    while (auto command = inbox_.Take(idle() ? Inbox::Wait::kYes : Inbox::Wait::kNo)) {
      FALLOW_RETURN_IF_ERROR(Obey(*std::move(command)));
    }
    if (const auto end = inbox_.end()) return *end;
    FALLOW_RETURN_IF_ERROR(Step());
  }
}

Status ShardExecutor::Obey(Inbox::Command command) {
  return std::visit(Overloaded{
                        [&](const LoadModel& load) -> Status {
                          auto ready = host_.Load(load.path, inbox_.control());
                          if (!ready) return send_(WorkerFailure{std::move(ready).error()});
                          return send_(*ready);
                        },
                        [&](RunRequests& run) -> Status {
                          engine::Runner* runner = host_.runner();
                          if (runner == nullptr) {
                            return Fail(ErrorCode::kFailedPrecondition,
                                        "requests came before a model was loaded");
                          }
                          if (runner->idle()) last_progress_ = clock_.Steady();
                          for (InferenceRequest& request : run.requests) {
                            // Reading long prompts takes time; what waits behind makes the runner
                            // forget them all.
                            if (inbox_.control().stopped()) break;
                            runner->Add(run.ticket, std::move(request));
                          }
                          return {};
                        },
                        [&](const DropTicket& drop) -> Status {
                          if (host_.runner() != nullptr) host_.runner()->Drop(drop.ticket);
                          return {};
                        },
                        [&](const SetPace&) -> Status { return {}; },  // the inbox's own
                        [&](const StopWork&) -> Status {
                          if (host_.runner() != nullptr) host_.runner()->Clear();
                          const auto latency = clock_.Steady() - command.received_at;
                          return send_(Stopped{static_cast<std::uint64_t>(latency.count())});
                        },
                    },
                    command.message);
}

Status ShardExecutor::Step() {
  engine::Runner& runner = *host_.runner();
  auto finished = runner.Step(inbox_.control());
  if (!finished) {
    // A stop: the command that caused it is taken next.
    if (finished.error().code == ErrorCode::kCancelled) return {};
    return std::unexpected(std::move(finished).error());
  }
  for (engine::FinishedRequest& request : *finished) {
    FALLOW_RETURN_IF_ERROR(send_(RequestFinished{request.ticket, std::move(request.result)}));
  }
  const SteadyTime now = clock_.Steady();
  if (runner.idle() || now - last_progress_ >= kProgressPeriod) {
    last_progress_ = now;
    return send_(ProgressReport{runner.progress()});
  }
  return {};
}

}  // namespace fallow
