// Who works on what next, and how much at once. Pure: a view of the fleet in, plans out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace fallow {

// A job in progress, as the scheduler sees it. Given oldest first.
struct JobView {
  JobId job;
  AccountId account;
  WallTime expires_at;
  std::uint64_t pending_count = 0;
  std::uint64_t leased_count = 0;
  bool asks_for_vectors = false;
  double tokens_per_request = 0;   // generated, or read for vectors, on average; 0: unknown
  bool model_cached = false;       // the asking device holds its model
  bool neglected = false;          // nobody has worked on it for kModelAffinityPatience
  std::uint64_t account_turn = 0;  // when the account last got a lease: a running number, 0: never
};

// The device that asks.
struct DeviceView {
  double tokens_per_second = 0;            // generated; 0: unknown
  std::size_t max_request_count = 0;       // what it can hold now
  double embedding_tokens_per_second = 0;  // read for vectors; 0: unknown
};

struct ShardPlan {
  JobId job;
  std::size_t max_request_count = 0;
  std::uint64_t max_input_count = UINT64_MAX;  // of all requests together
  bool operator==(const ShardPlan&) const = default;
};

// The jobs with pending requests, best first, each with the size of shard to cut. Accounts share
// alike: the one with the fewest leased requests comes first, then the one whose last turn is
// longest ago. Within an account: jobs whose model the device holds (or that have waited long),
// then the earliest deadline, then age.
std::vector<ShardPlan> PlanShards(const DeviceView& device, std::span<const JobView> jobs,
                                  std::size_t live_device_count,
                                  std::chrono::milliseconds target_shard_time);

// Requests for one shard: about `target_shard_time` of the device's speed; near the end of a job at
// most half of the device's part of what is left, so that devices (which hold a shard and the next)
// end together.
std::size_t ShardSize(const DeviceView& device, const JobView& job, std::size_t live_device_count,
                      std::chrono::milliseconds target_shard_time);

}  // namespace fallow
