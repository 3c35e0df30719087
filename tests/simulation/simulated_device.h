// One device of the fleet: an honest agent on an unreliable machine and network.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "coordinator/core/coordinator.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/fleet_simulation.h"

namespace fallow::simulation {

// What any honest device answers: a function of the request alone. Some requests fail by their own
// fault.
AttemptResult HonestResult(const LeaseId& lease, const InferenceRequest& request);

class SimulatedDevice {
 public:
  using OnAcknowledged = std::function<void(const JobId&, const std::vector<AttemptResult>&)>;
  // All references must outlive the device.
  SimulatedDevice(std::uint64_t number, Dice& dice, SimulationReport& report,
                  OnAcknowledged on_acknowledged);

  // Lives through `step` of time. `coordinator` is null while it is down. With `trouble`, things
  // may go wrong. An error is a broken rule: an honest agent's call must not fail.
  Status Live(Coordinator* coordinator, SteadyTime now, std::chrono::milliseconds step,
              bool trouble);

 private:
  Status Enroll(Coordinator& coordinator);
  Status AskForWork(Coordinator& coordinator);
  void Compute(std::chrono::milliseconds step);
  Status Report(Coordinator& coordinator, bool trouble);
  Status Heartbeat(Coordinator& coordinator, SteadyTime now, bool trouble);
  void MeetTrouble(Coordinator* coordinator, SteadyTime now);
  bool LosesReply(bool trouble);
  void Forget();

  const std::uint64_t number_;
  Dice& dice_;
  SimulationReport& report_;
  const OnAcknowledged on_acknowledged_;
  const std::chrono::milliseconds time_per_request_;

  DeviceId id_;
  std::optional<LeaseGrant> lease_;
  std::size_t computed_ = 0;             // of the lease's requests
  std::chrono::milliseconds worked_{0};  // on the next one
  std::vector<AttemptResult> outbox_;    // not acknowledged yet
  SteadyTime away_until_{};              // dead, or its owner is there
  SteadyTime offline_until_{};           // computes, but reaches nobody
  SteadyTime last_heartbeat_{};
};

}  // namespace fallow::simulation
