#include "coordinator/core/scheduler.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "coordinator/core/limits.h"
#include "protocol/limits.h"

namespace fallow {

namespace {

// Seconds that a request takes the device, on average; 0: unknown.
double SecondsPerRequest(const DeviceView& device, const JobView& job) {
  const double speed =
      job.asks_for_vectors ? device.embedding_tokens_per_second : device.tokens_per_second;
  return speed > 0 ? job.tokens_per_request / speed : 0;
}

}  // namespace

std::size_t ShardSize(const DeviceView& device, const JobView& job, std::size_t live_device_count,
                      std::chrono::milliseconds target_shard_time) {
  std::uint64_t size = kFirstShardRequests;
  if (const double seconds = SecondsPerRequest(device, job); seconds > 0) {
    const double requests = std::chrono::duration<double>(target_shard_time).count() / seconds;
    size = static_cast<std::uint64_t>(
        std::clamp(requests, double{kMinShardRequests}, double{kMaxRequestsPerLease}));
  }
  if (live_device_count > 1) {
    const std::uint64_t parts = 2 * static_cast<std::uint64_t>(live_device_count);
    const std::uint64_t part = (job.pending_count + parts - 1) / parts;
    size = std::min(size, std::max<std::uint64_t>(part, kMinShardRequests));
  }
  return static_cast<std::size_t>(
      std::min({size, job.pending_count, std::uint64_t{device.max_request_count},
                std::uint64_t{kMaxRequestsPerLease}}));
}

std::vector<ShardPlan> PlanShards(const DeviceView& device, std::span<const JobView> jobs,
                                  std::size_t live_device_count,
                                  std::chrono::milliseconds target_shard_time) {
  std::map<AccountId, std::uint64_t> leased_by_account;
  for (const JobView& job : jobs) leased_by_account[job.account] += job.leased_count;

  std::vector<const JobView*> order;
  for (const JobView& job : jobs)
    if (job.pending_count > 0) order.push_back(&job);
  std::ranges::stable_sort(order, {}, [&](const JobView* job) {
    const bool waits_for_model = !job->model_cached && !job->neglected;
    return std::tuple(leased_by_account[job->account], job->account_turn, job->account,
                      waits_for_model, job->expires_at);
  });

  std::vector<ShardPlan> plans;
  for (const JobView* job : order) {
    const std::size_t size = ShardSize(device, *job, live_device_count, target_shard_time);
    if (size == 0) continue;
    ShardPlan& plan = plans.emplace_back(ShardPlan{job->job, size});
    if (job->asks_for_vectors && SecondsPerRequest(device, *job) == 0)
      plan.max_input_count = kFirstShardInputs;
  }
  return plans;
}

}  // namespace fallow
