// The coordinator's real core under a fleet that misbehaves as real ones do, in simulated time, all
// of it from one seed.
//
// Devices join, compute at their own speeds, are taken back by their owners, die with what they
// have not reported, lose their network and come back late, lose replies and say things twice. The
// coordinator is killed and started again from its store; its disk fills up; jobs are cancelled.
// Then the trouble stops, and every job must end within bounded time. Rules are checked all along:
// see fleet_simulation.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fallow::simulation {

struct SimulationOptions {
  std::uint64_t seed = 1;
  std::size_t device_count = 8;
  std::size_t job_count = 5;
  std::size_t max_requests_per_job = 400;
  std::chrono::minutes trouble{40};    // simulated time in which things go wrong
  std::chrono::minutes patience{120};  // simulated time after it in which all jobs must end
};

struct SimulationReport {
  std::vector<std::string> violations;  // of the rules; empty: the run passed
  std::uint64_t requests = 0, leases = 0, reports = 0;
  std::uint64_t lost_replies = 0, owner_returns = 0, deaths = 0, outages = 0, restarts = 0,
                full_disks = 0, cancelled_jobs = 0;
  std::chrono::seconds simulated{0};
};

SimulationReport Simulate(const SimulationOptions& options);

}  // namespace fallow::simulation
