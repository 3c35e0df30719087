#include "protocol/worker_messages.h"

#include <utility>

#include "base/overloaded.h"
#include "generated/protocol/worker.pb.h"
#include "protocol/frame_wire.h"
#include "protocol/inference_wire.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using wire::CheckText;
using wire::FieldError;
using wire::Frame;
using wire::ShapeRule;

Result<RunRequests> ToValue(wire::RunRequests&& message) {
  RunRequests value{.ticket = message.ticket(), .requests = {}};
  value.requests.reserve(message.requests_size());
  for (int i = 0; i < message.requests_size(); ++i) {
    auto request = wire::ToValue(std::move(*message.mutable_requests(i)));
    if (!request) return Wrap(std::move(request).error(), fmt::format("requests[{}]", i));
    value.requests.push_back(*std::move(request));
  }
  return value;
}

Result<SetPace> ToValue(const wire::SetPace& message) {
  const double share = message.share();
  if (share >= kMinPaceShare && share <= 1) return SetPace{share};
  return FieldError("share", fmt::format("{}; {} to 1 are allowed", share, kMinPaceShare));
}

Result<WorkerReady> ToValue(wire::WorkerReady&& message) {
  FALLOW_RETURN_IF_ERROR(CheckText("processor", message.processor(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("driver", message.driver(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("pci_address", message.pci_address(), kMaxShortTextBytes));
  FALLOW_RETURN_IF_ERROR(CheckText("queue_priority", message.queue_priority(), kMaxShortTextBytes));
  return WorkerReady{.vulkan = message.vulkan(),
                     .processor = std::move(*message.mutable_processor()),
                     .driver = std::move(*message.mutable_driver()),
                     .memory_bytes = message.memory_bytes(),
                     .pci_address = std::move(*message.mutable_pci_address()),
                     .queue_priority = std::move(*message.mutable_queue_priority()),
                     .timestamps = message.timestamps()};
}

Result<ModelReady> ToValue(wire::ModelReady&& message) {
  FALLOW_RETURN_IF_ERROR(CheckText("path", message.path(), kMaxPathBytes));
  return ModelReady{.path = std::move(*message.mutable_path()),
                    .context_length = message.context_length(),
                    .max_sequence_count = message.max_sequence_count()};
}

Result<RequestFinished> ToValue(wire::RequestFinished&& message) {
  auto result = wire::ToValue(std::move(*message.mutable_result()), wire::AttemptIdRule::kAbsent);
  if (!result) return Wrap(std::move(result).error(), "result");
  return RequestFinished{.ticket = message.ticket(), .result = *std::move(result)};
}

template <class Variant, class Value>
Result<Variant> Named(std::string_view name, Result<Value> value) {
  if (!value) return Wrap(std::move(value).error(), name);
  return Variant(*std::move(value));
}

}  // namespace

Bytes EncodeFrame(const ToWorker& value) {
  wire::ToWorker message;
  std::visit(
      Overloaded{
          [&](const LoadModel& load) { message.mutable_load_model()->set_path(load.path); },
          [&](const RunRequests& run) {
            wire::RunRequests& out = *message.mutable_run_requests();
            out.set_ticket(run.ticket);
            for (const InferenceRequest& request : run.requests) {
              FromValue(request, *out.add_requests());
            }
          },
          [&](const DropTicket& drop) { message.mutable_drop_ticket()->set_ticket(drop.ticket); },
          [&](const StopWork&) { message.mutable_stop_work(); },
          [&](const SetPace& pace) { message.mutable_set_pace()->set_share(pace.share); },
      },
      value);
  return Frame(message);
}

Bytes EncodeFrame(const FromWorker& value) {
  wire::FromWorker message;
  std::visit(Overloaded{
                 [&](const WorkerReady& ready) {
                   wire::WorkerReady& out = *message.mutable_worker_ready();
                   out.set_vulkan(ready.vulkan);
                   out.set_processor(ready.processor);
                   out.set_driver(ready.driver);
                   out.set_memory_bytes(ready.memory_bytes);
                   out.set_pci_address(ready.pci_address);
                   out.set_queue_priority(ready.queue_priority);
                   out.set_timestamps(ready.timestamps);
                 },
                 [&](const ModelReady& ready) {
                   wire::ModelReady& out = *message.mutable_model_ready();
                   out.set_path(ready.path);
                   out.set_context_length(ready.context_length);
                   out.set_max_sequence_count(ready.max_sequence_count);
                 },
                 [&](const RequestFinished& finished) {
                   wire::RequestFinished& out = *message.mutable_request_finished();
                   out.set_ticket(finished.ticket);
                   FromValue(finished.result, *out.mutable_result());
                 },
                 [&](const ProgressReport& report) {
                   FromValue(report.progress,
                             *message.mutable_progress_report()->mutable_progress());
                 },
                 [&](const Stopped& stopped) {
                   message.mutable_stopped()->set_stop_latency_us(stopped.stop_latency_us);
                 },
                 [&](const WorkerFailure& failure) {
                   FromValue(failure.error, *message.mutable_worker_failure()->mutable_error());
                 },
             },
             value);
  return Frame(message);
}

Result<ToWorker> DecodeToWorker(ByteView payload) {
  static const std::array kRunRules = {ShapeRule{wire::RunRequests::kRequestsFieldNumber,
                                                 "requests", kMaxRequestsPerLease,
                                                 wire::kInferenceRequestShape}};
  static const std::array kRules = {
      ShapeRule{wire::ToWorker::kRunRequestsFieldNumber, "run_requests", 1, kRunRules}};
  auto parsed = wire::Parse<wire::ToWorker>(payload, kMaxWorkerFrameBytes, kRules);
  if (!parsed) return Wrap(std::move(parsed).error(), "message to worker");
  switch (parsed->message_case()) {
    case wire::ToWorker::kLoadModel: {
      std::string& path = *parsed->mutable_load_model()->mutable_path();
      if (path.empty()) return FieldError("load_model: path", "missing");
      FALLOW_RETURN_IF_ERROR(CheckText("load_model: path", path, kMaxPathBytes));
      return LoadModel{std::move(path)};
    }
    case wire::ToWorker::kRunRequests:
      return Named<ToWorker>("run_requests", ToValue(std::move(*parsed->mutable_run_requests())));
    case wire::ToWorker::kDropTicket:
      return DropTicket{parsed->drop_ticket().ticket()};
    case wire::ToWorker::kStopWork:
      return StopWork{};
    case wire::ToWorker::kSetPace:
      return Named<ToWorker>("set_pace", ToValue(parsed->set_pace()));
    case wire::ToWorker::MESSAGE_NOT_SET:
      break;
  }
  return FieldError("message to worker", "empty or of an unknown kind");
}

Result<FromWorker> DecodeFromWorker(ByteView payload) {
  static const std::array kFinishedRules = {
      ShapeRule{wire::RequestFinished::kResultFieldNumber, "result", 1, wire::kAttemptResultShape}};
  static const std::array kRules = {ShapeRule{wire::FromWorker::kRequestFinishedFieldNumber,
                                              "request_finished", 1, kFinishedRules}};
  auto parsed = wire::Parse<wire::FromWorker>(payload, kMaxWorkerFrameBytes, kRules);
  if (!parsed) return Wrap(std::move(parsed).error(), "message from worker");
  switch (parsed->message_case()) {
    case wire::FromWorker::kWorkerReady:
      return Named<FromWorker>("worker_ready", ToValue(std::move(*parsed->mutable_worker_ready())));
    case wire::FromWorker::kModelReady:
      return Named<FromWorker>("model_ready", ToValue(std::move(*parsed->mutable_model_ready())));
    case wire::FromWorker::kRequestFinished:
      return Named<FromWorker>("request_finished",
                               ToValue(std::move(*parsed->mutable_request_finished())));
    case wire::FromWorker::kProgressReport:
      return ProgressReport{wire::ToValue(parsed->progress_report().progress())};
    case wire::FromWorker::kStopped:
      return Stopped{parsed->stopped().stop_latency_us()};
    case wire::FromWorker::kWorkerFailure: {
      auto error = wire::ToValue(std::move(*parsed->mutable_worker_failure()->mutable_error()));
      if (!error) return Wrap(std::move(error).error(), "worker_failure");
      return WorkerFailure{*std::move(error)};
    }
    case wire::FromWorker::MESSAGE_NOT_SET:
      break;
  }
  return FieldError("message from worker", "empty or of an unknown kind");
}

}  // namespace fallow
