#include "coordinator/api/live_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "coordinator/http/error_response.h"

namespace fallow::api {
namespace {

constexpr std::chrono::milliseconds kFlushDelay{250};  // four times a second
constexpr std::chrono::milliseconds kTickPeriod{2'000};
constexpr std::chrono::milliseconds kKeepAlivePeriod{15'000};
// A rate over less would jump.
constexpr std::chrono::milliseconds kShortestSpan{1'000};
constexpr std::chrono::milliseconds kShortestSpanOfResults{500};
constexpr std::size_t kSnapshotJobs = 20;
constexpr std::size_t kMaxWatchers = 1'000;

bool MaySee(const ApiKey& key, const AccountId& account) {
  return key.role == Role::kOperator || key.account == account;
}

std::string EventText(std::string_view event, const Json& data) {
  return fmt::format("event: {}\ndata: {}\n\n", event, Dump(data));
}

// What is left at the present rate, if the requests left are like those done.
Json SecondsLeft(const Job& job, double tokens_per_second) {
  const std::uint64_t settled = job.counts.completed + job.counts.failed;
  if (job.state != JobState::kInProgress || tokens_per_second <= 0 || settled == 0 ||
      settled >= job.counts.total)
    return nullptr;
  const double tokens_per_request =
      static_cast<double>(job.work_token_count()) / static_cast<double>(settled);
  const double left =
      static_cast<double>(job.counts.total - settled) * tokens_per_request / tokens_per_second;
  return static_cast<std::uint64_t>(std::ceil(std::min(left, 1e9)));
}

}  // namespace

void JobRate::Sample(SteadyTime now, std::uint64_t token_count) {
  if (!first_results_at_.has_value() && !moments_.empty() &&
      token_count > moments_.back().token_count)
    first_results_at_ = now;
  moments_.push_back({now, token_count});
  while (moments_.size() > 2 && moments_[1].at <= now - kWindow) moments_.pop_front();
}

double JobRate::TokensPerSecond(SteadyTime now) const {
  // The newest moment at or before the window's beginning says what the count was then.
  auto first = moments_.begin();
  while (first != moments_.end() && std::next(first) != moments_.end() &&
         std::next(first)->at <= now - kWindow)
    ++first;
  const auto rate_since = [&](std::deque<Moment>::const_iterator begin,
                              std::chrono::microseconds shortest) {
    if (begin == moments_.end()) return 0.0;
    const std::uint64_t count = moments_.back().token_count;
    if (count < begin->token_count) return 0.0;
    const auto span = std::clamp<std::chrono::microseconds>(now - begin->at, shortest, kWindow);
    return static_cast<double>(count - begin->token_count) /
           std::chrono::duration<double>(span).count();
  };
  const auto first_results = std::find_if(first, moments_.end(), [&](const Moment& moment) {
    return moment.token_count > first->token_count;
  });
  return std::max(rate_since(first, kShortestSpan),
                  rate_since(first_results, kShortestSpanOfResults));
}

LiveFeed::LiveFeed(Loop& loop, const Clock& clock, Coordinator& coordinator)
    : loop_(loop), clock_(clock), coordinator_(coordinator) {
  subscription_ = coordinator.events().Subscribe([this](const Event& event) { OnEvent(event); });
}

Json LiveFeed::JobJson(const Job& job) {
  return JobJson(job, WorkingDevices());
}

Json LiveFeed::JobsJson(const std::vector<Job>& jobs) {
  const LeasesByJob working = WorkingDevices();
  Json list = Json::array();
  for (const Job& job : jobs) list.push_back(JobJson(job, working));
  return list;
}

Json LiveFeed::JobJson(const Job& job, const LeasesByJob& working) {
  double tokens_per_second = 0;
  Json seconds_left;
  if (const auto rate = rates_.find(job.id); rate != rates_.end() && !IsFinal(job.state)) {
    tokens_per_second = rate->second.TokensPerSecond(clock_.Steady());
    if (rate->second.foretells(clock_.Steady())) seconds_left = SecondsLeft(job, tokens_per_second);
  }
  const auto devices = working.find(job.id);
  Json json = BatchJson(job);
  json["progress"] = {{"tokens_per_second", std::round(tokens_per_second * 10) / 10},
                      {"generated_tokens", job.usage.completion_tokens},
                      {"devices", devices == working.end() ? 0 : devices->second.size()},
                      {"seconds_left", std::move(seconds_left)}};
  return json;
}

LiveFeed::LeasesByJob LiveFeed::WorkingDevices() const {
  LeasesByJob working;
  if (const auto leases = coordinator_.leases().Live(); leases.has_value())
    for (const Lease& lease : *leases) working[lease.job].insert(lease.device);
  return working;
}

Result<Json> LiveFeed::DevicesJson() {
  FALLOW_ASSIGN_OR_RETURN(const auto devices, coordinator_.devices().List());
  FALLOW_ASSIGN_OR_RETURN(const auto live, coordinator_.leases().Live());
  std::map<DeviceId, std::vector<Lease>> leases;
  for (const Lease& lease : live) leases[lease.device].push_back(lease);
  Json list = Json::array();
  for (const Device& device : devices)
    list.push_back(DeviceJson(device, leases[device.id], clock_.Wall()));
  return list;
}

void LiveFeed::OnEvent(const Event& event) {
  if (const auto* job = std::get_if<JobChanged>(&event))
    changed_jobs_[job->job] = job->account;
  else if (const auto* device = std::get_if<DeviceChanged>(&event))
    changed_devices_.insert(device->device);
  else
    return;
  if (flush_ == nullptr) flush_ = loop_.After(kFlushDelay, [this] { Flush(); });
}

void LiveFeed::Flush() {
  flush_ = nullptr;
  const auto jobs = std::exchange(changed_jobs_, {});
  const auto devices = std::exchange(changed_devices_, {});
  const LeasesByJob working = jobs.empty() || watchers_.empty() ? LeasesByJob() : WorkingDevices();
  for (const auto& [job, account] : jobs) PublishJob(job, account, working);
  if (watchers_.empty() || devices.empty()) return;
  const auto leases = coordinator_.leases().Live();
  if (!leases.has_value()) return;
  for (const DeviceId& device : devices) PublishDevice(device, *leases);
}

void LiveFeed::PublishJob(const JobId& id, const AccountId& account, const LeasesByJob& working) {
  const auto job = coordinator_.jobs().Get(account, id);
  if (!job.has_value()) {
    LOG_WARN("events: a changed job cannot be read job={} error=\"{}\"", id.value,
             job.error().message);
    return;
  }
  moving_jobs_.erase(id);
  if (IsFinal(job->state)) {
    rates_.erase(id);
  } else {
    JobRate& rate = rates_[id];
    rate.Sample(clock_.Steady(), job->work_token_count());
    if (rate.TokensPerSecond(clock_.Steady()) > 0) moving_jobs_[id] = account;
  }
  if (watchers_.empty()) return;
  Publish("job", JobJson(*job, working),
          [&](const Watcher& watcher) { return MaySee(watcher.key, account); });
}

void LiveFeed::PublishDevice(const DeviceId& id, const std::vector<Lease>& leases) {
  const auto for_operators = [](const Watcher& watcher) {
    return watcher.key.role == Role::kOperator;
  };
  const auto device = coordinator_.devices().Find(id);
  if (!device.has_value()) return;
  if (!device->has_value()) {
    Publish("device_removed", {{"id", id.value}}, for_operators);
    return;
  }
  std::vector<Lease> its;
  std::ranges::copy_if(leases, std::back_inserter(its),
                       [&](const Lease& lease) { return lease.device == id; });
  Publish("device", DeviceJson(**device, its, clock_.Wall()), for_operators);
}

void LiveFeed::Publish(std::string_view event, const Json& data,
                       const std::function<bool(const Watcher&)>& for_whom) {
  std::string text;
  for (const auto& watcher : watchers_) {
    if (!for_whom(*watcher)) continue;
    if (watcher->responder->slow()) watcher->behind = true;
    if (watcher->behind) continue;
    if (text.empty()) text = EventText(event, data);
    watcher->responder->Write(AsBytes(text));
  }
}

void LiveFeed::SendSnapshot(Watcher& watcher) {
  const bool is_operator = watcher.key.role == Role::kOperator;
  const PageRequest newest{.limit = kSnapshotJobs};
  const auto jobs = is_operator ? coordinator_.jobs().ListAll(newest)
                                : coordinator_.jobs().List(watcher.key.account, newest);
  Json snapshot = {{"jobs", jobs.has_value() ? JobsJson(jobs->items) : Json::array()}};
  if (is_operator) snapshot["devices"] = DevicesJson().value_or(Json::array());
  watcher.behind = false;
  watcher.responder->Write(AsBytes(EventText("snapshot", snapshot)));
}

void LiveFeed::Watch(const ApiKey& key, std::function<bool()> still_valid,
                     std::shared_ptr<http::Responder> responder) {
  if (watchers_.size() >= kMaxWatchers) {
    responder->Send(http::ErrorResponse(
        {.status = 503,
         .message = fmt::format("{} event streams are open; no more are served.", kMaxWatchers)}));
    return;
  }
  responder->Start(200,
                   {{"content-type", "text/event-stream"},
                    {"cache-control", "no-cache"},
                    {"x-accel-buffering", "no"}},
                   std::nullopt);
  if (responder->gone()) return;
  auto owned =
      std::make_unique<Watcher>(Watcher{key, std::move(still_valid), std::move(responder)});
  Watcher* watcher = owned.get();
  const std::weak_ptr<bool> alive = alive_;
  watcher->responder->OnGone([this, watcher, alive] {
    if (!alive.expired()) Drop(watcher);
  });
  watcher->responder->OnWritable([this, watcher, alive] {
    if (!alive.expired() && watcher->behind) SendSnapshot(*watcher);
  });
  watchers_.push_back(std::move(owned));
  SendSnapshot(*watcher);
  if (tick_ == nullptr) tick_ = loop_.Every(kTickPeriod, [this] { Tick(); });
  if (keep_alive_ == nullptr) keep_alive_ = loop_.Every(kKeepAlivePeriod, [this] { KeepAlive(); });
}

void LiveFeed::Drop(const Watcher* watcher) {
  std::erase_if(watchers_, [watcher](const auto& held) { return held.get() == watcher; });
}

// Some things change because time passes: a rate fades, a device falls silent.
void LiveFeed::Tick() {
  if (watchers_.empty()) {
    tick_ = nullptr;
    keep_alive_ = nullptr;
    return;
  }
  for (const auto& [job, account] : moving_jobs_) OnEvent(JobChanged{job, account});
  const auto devices = coordinator_.devices().List();
  if (!devices.has_value()) return;
  std::map<DeviceId, bool> offline;
  for (const Device& device : *devices) {
    const bool is_offline = clock_.Wall() - device.last_seen_at > kDeviceSilence;
    offline[device.id] = is_offline;
    const auto shown = shown_offline_.find(device.id);
    if (shown != shown_offline_.end() && shown->second != is_offline)
      OnEvent(DeviceChanged{device.id});
  }
  shown_offline_ = std::move(offline);
}

void LiveFeed::KeepAlive() {
  std::vector<std::shared_ptr<http::Responder>> ended;
  std::erase_if(watchers_, [&](const auto& watcher) {
    if (watcher->still_valid()) return false;
    ended.push_back(watcher->responder);
    return true;
  });
  for (const auto& responder : ended) responder->End();
  for (const auto& watcher : watchers_)
    if (!watcher->responder->slow()) watcher->responder->Write(AsBytes(":\n\n"));
}

void LiveFeed::Stop() {
  const auto ending = std::exchange(watchers_, {});
  for (const auto& watcher : ending) watcher->responder->End();
}

}  // namespace fallow::api
