// What the agent's daemon and its worker say to each other over the worker's standard input and
// output.
//
// A message is a frame: u32 little-endian payload length, then the protobuf payload (worker.proto).
// The worker trusts the daemon; the daemon does not trust the worker (its kernels run foreign
// code).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/frame_reader.h"
#include "protocol/inference.h"

namespace fallow {

// Daemon to worker.
// -----------------------------------------------------------------------------------------------

// Loads a model file, replacing the one before. Answered by ModelReady or WorkerFailure.
struct LoadModel {
  std::string path;
  bool operator==(const LoadModel&) const = default;
};
// Adds requests to what the worker is doing; it runs them in a continuous batch with the others.
// `ticket` comes back in each RequestFinished, so that requests of several leases can be in flight.
struct RunRequests {
  std::uint64_t ticket = 0;
  std::vector<InferenceRequest> requests;
  bool operator==(const RunRequests&) const = default;
};
// Forgets the ticket's requests, finished ones excepted.
struct DropTicket {
  std::uint64_t ticket = 0;
  bool operator==(const DropTicket&) const = default;
};
// Stops at the next dispatch boundary, a model's loading at its next tensor, and forgets all
// requests; answered by Stopped. A model that is loaded stays, and its progress is counted anew.
struct StopWork {
  bool operator==(const StopWork&) const = default;
};
// How much of the time to compute from now on, in a step under way too. Results do not depend on
// it.
struct SetPace {
  double share = 1;  // kMinPaceShare to 1
  bool operator==(const SetPace&) const = default;
};

// Worker to daemon.
// -----------------------------------------------------------------------------------------------

// First message: what it computes on.
struct WorkerReady {
  bool vulkan = false;
  std::string processor;
  std::string driver;
  std::uint64_t memory_bytes = 0;
  // Of a Vulkan device, empty or false otherwise: its place ("0000:01:00.0"), the priority of our
  // work among all that use it ("low", "default"), and whether slices are timed by its own clock.
  std::string pci_address;
  std::string queue_priority;
  bool timestamps = false;
  bool operator==(const WorkerReady&) const = default;
};
struct ModelReady {
  std::string path;
  std::uint32_t context_length = 0;  // tokens
  std::uint32_t max_sequence_count = 0;
  bool operator==(const ModelReady&) const = default;
};
struct RequestFinished {
  std::uint64_t ticket = 0;
  AttemptResult result;  // `attempt` is empty: the daemon names attempts
  bool operator==(const RequestFinished&) const = default;
};
// Sent about once a second while working.
struct ProgressReport {
  WorkProgress progress;
  bool operator==(const ProgressReport&) const = default;
};
struct Stopped {
  std::uint64_t stop_latency_us = 0;  // from reading StopWork to the device having no work of ours
  bool operator==(const Stopped&) const = default;
};
// Something failed that is not one request's fault: the model does not load, the device was lost.
// After a failed LoadModel the worker goes on; after anything else it exits.
struct WorkerFailure {
  Error error;
  bool operator==(const WorkerFailure&) const = default;
};

using ToWorker = std::variant<LoadModel, RunRequests, DropTicket, StopWork, SetPace>;
using FromWorker =
    std::variant<WorkerReady, ModelReady, RequestFinished, ProgressReport, Stopped, WorkerFailure>;

Bytes EncodeFrame(const ToWorker&);  // header and payload
Bytes EncodeFrame(const FromWorker&);
Result<ToWorker> DecodeToWorker(ByteView payload);
Result<FromWorker> DecodeFromWorker(ByteView payload);

}  // namespace fallow
