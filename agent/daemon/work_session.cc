#include "agent/daemon/work_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// One drains in the worker while the next is brought.
constexpr std::size_t kMaxLeasesInHand = 2;
// Below this many unfinished requests a batch is not full whatever the speed.
constexpr std::size_t kSmallestReserve = 64;
constexpr std::size_t kAttemptIdBytes = 12;

}  // namespace

WorkSession::WorkSession(Loop& loop, const Clock& clock, Random& random, CoordinatorClient& client,
                         ArtifactSource& artifacts, Worker& worker, DeviceProfile profile,
                         WorkSessionOptions options)
    : loop_(loop),
      clock_(clock),
      random_(random),
      client_(client),
      artifacts_(artifacts),
      worker_(worker),
      profile_(std::move(profile)),
      options_(std::move(options)),
      ask_backoff_(random, options.first_retry, options.max_retry),
      heartbeat_(
          loop, client,
          {.make = [this] { return MakeHeartbeat(); },
           .period =
               [this] {
                 return leases_.empty() ? options_.quiet_heartbeat_period
                                        : options_.heartbeat_period;
               },
           .on_reply = [this](Result<HeartbeatReply> reply) { OnHeartbeat(std::move(reply)); }}) {
  worker_.SetEvents({
      .on_ready = [this](const WorkerReady& ready,
                         bool model_loaded) { OnReady(ready, model_loaded); },
      .on_model_ready = [this](const ModelReady&) { OnModelReady(); },
      .on_model_failed = [this](const Error& error) { OnModelFailed(error); },
      .on_finished = [this](RequestFinished finished) { OnFinished(std::move(finished)); },
      .on_progress = [this](const WorkProgress& progress) { OnProgress(progress); },
      .on_lost = [this](const Error& error) { OnLost(error); },
  });
  heartbeat_.Schedule();
}

WorkSession::~WorkSession() = default;

void WorkSession::Run(std::string reason) {
  reason_ = std::move(reason);
  if (allowed_ || shutting_down_) return;
  allowed_ = true;
  LOG_INFO("agent: works: {}", reason_);
  AdvanceSoon();
  NoteState();
}

void WorkSession::Stop(DeviceState state, std::string reason, const StopOptions& options) {
  // First: the owner waits for this and for nothing else.
  if (allowed_ || !options.keep_memory) worker_.Stop(options);
  reason_ = std::move(reason);
  stop_state_ = state;
  if (allowed_) {
    allowed_ = false;
    LOG_INFO("agent: stops: {}", reason_);
    // A load that is broken off leaves no model.
    if (std::exchange(loading_ticket_, 0) != 0) worker_model_.reset();
    meter_.ForgetProgress();
    // A channel that has nothing to say removes its lease at once.
    for (auto it = leases_.begin(); it != leases_.end();) Close(*it++, reason_);
  } else if (!told_state_.has_value()) {
    LOG_INFO("agent: does not work yet: {}", reason_);
  }
  NoteState();
}

void WorkSession::ShutDown(milliseconds patience, std::function<void()> done) {
  shutting_down_ = true;
  on_shut_down_ = std::move(done);
  Stop(DeviceState::kPaused, "the agent is shutting down");
  heartbeat_.Send();
  shutdown_timer_ = loop_.After(patience, [this] {
    if (!leases_.empty())
      LOG_WARN("agent: {} leases could not be released and will expire", leases_.size());
    std::exchange(on_shut_down_, nullptr)();
  });
}

void WorkSession::FinishShutDown() {
  if (!on_shut_down_ || !leases_.empty() || heartbeat_.busy()) return;
  shutdown_timer_.reset();
  std::exchange(on_shut_down_, nullptr)();
}

// Events only change the state; what follows from it is decided here, in one place, after them.
void WorkSession::AdvanceSoon() {
  if (std::exchange(advance_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    advance_posted_ = false;
    Advance();
  });
}

void WorkSession::Advance() {
  if (allowed_) {
    worker_.Start();
    FetchModel();
    FeedWorker();
    AskForLease();
  }
  NoteState();
}

std::size_t WorkSession::UnfinishedCount() const {
  std::size_t count = 0;
  for (const Held& held : leases_) {
    if (held.phase != Phase::kClosing) count += held.unfinished.size();
  }
  return count;
}

bool WorkSession::WantsLease() const {
  if (asking_ || ask_timer_ != nullptr || leases_.size() >= kMaxLeasesPerDevice) return false;
  // The worker says what the device is; a shard taken without one would only wait.
  if (!worker_.ready()) return false;
  const auto in_hand = std::ranges::count_if(leases_, [](const Held& held) {
    return held.phase != Phase::kClosing && !held.unfinished.empty();
  });
  if (in_hand == 0) return true;
  if (static_cast<std::size_t>(in_hand) >= kMaxLeasesInHand) return false;
  // Not before the first has shown that it can be worked on.
  if (std::ranges::none_of(leases_,
                           [](const Held& held) { return held.phase == Phase::kInWorker; }))
    return false;
  const double ahead = std::chrono::duration<double>(options_.prefetch_ahead).count();
  const auto reserve =
      std::max(kSmallestReserve, static_cast<std::size_t>(meter_.requests_per_second() * ahead));
  return UnfinishedCount() <= reserve;
}

void WorkSession::AskForLease() {
  if (!WantsLease()) return;
  asking_ = true;
  LeaseRequest request{.profile = profile_,
                       .status = status(),
                       .cached_models = artifacts_.Cached(),
                       .max_request_count = kMaxRequestsPerLease,
                       .wait = options_.lease_wait};
  if (request.cached_models.size() > kMaxCachedModelsListed)
    request.cached_models.resize(kMaxCachedModelsListed);
  ask_call_ =
      client_.Lease(request, [this](Result<LeaseReply> reply) { OnLeaseReply(std::move(reply)); });
}

void WorkSession::OnLeaseReply(Result<LeaseReply> reply) {
  asking_ = false;
  NoteContact(reply ? Status() : std::unexpected(reply.error()));
  if (!reply) {
    PauseAsking(reply.error());
  } else if (reply->grant) {
    Take(*std::move(reply->grant));
  } else if (failures_in_a_row_ == 0) {
    ask_backoff_.Reset();
  }
  AdvanceSoon();
}

// Nothing is asked for until the backoff is over; whatever failed would fail again.
void WorkSession::PauseAsking(const Error& why) {
  const milliseconds delay = ask_backoff_.Next();
  LOG_WARN("agent: asks for work again in {} ms: {}", delay.count(), why.message);
  ask_timer_ = loop_.After(delay, [this] {
    ask_timer_.reset();
    AdvanceSoon();
  });
}

void WorkSession::Take(LeaseGrant grant) {
  Held& held = leases_.emplace_back();
  held.ticket = ++last_ticket_;
  held.lease = grant.lease;
  held.job = grant.job;
  held.model = grant.model;
  held.request_count = grant.requests.size();
  for (InferenceRequest& request : grant.requests) {
    const std::uint64_t index = request.index;
    held.unfinished.emplace(index, std::move(request));
  }
  LOG_INFO("agent: took lease={} job={} model={} requests={}", held.lease.value, held.job.value,
           held.model.model.value, held.request_count);
  OpenChannel(held);
  if (!allowed_) Close(held, reason_);  // the owner came back while the coordinator was answering
  heartbeat_.Schedule();
}

void WorkSession::OpenChannel(Held& held) {
  const std::uint64_t ticket = held.ticket;
  held.channel = std::make_unique<LeaseChannel>(
      loop_, clock_, random_, client_, held.lease, options_.channel,
      LeaseChannel::Events{.status = [this] { return status(); },
                           .on_ended =
                               [this, ticket] {
                                 if (Held* ended = Find(ticket)) Close(*ended, "");
                               },
                           .on_closed =
                               [this, ticket] {
                                 loop_.Post([this, ticket, alive = std::weak_ptr(alive_)] {
                                   if (!alive.expired()) Remove(ticket);
                                 });
                               },
                           .on_contact = [this](const Status& status) { NoteContact(status); }});
  TellLeases();
}

void WorkSession::TellLeases() {
  if (!options_.on_leases_changed) return;
  std::vector<LeaseId> ids;
  for (const Held& held : leases_) ids.push_back(held.lease);
  options_.on_leases_changed(ids);
}

void WorkSession::GiveBack(const std::vector<LeaseId>& leases) {
  for (const LeaseId& lease : leases) {
    LOG_INFO("agent: gives back lease={} of an earlier run", lease.value);
    Held& held = leases_.emplace_back();
    held.ticket = ++last_ticket_;
    held.lease = lease;
    held.phase = Phase::kClosing;
    OpenChannel(held);
    held.channel->Close("the agent was killed and has started anew");
  }
}

WorkSession::Held* WorkSession::Find(std::uint64_t ticket) {
  const auto it = std::ranges::find(leases_, ticket, &Held::ticket);
  return it == leases_.end() ? nullptr : &*it;
}

// Stops working on a lease. An empty `reason`: it has ended, or nothing is left to give back.
void WorkSession::Close(Held& held, const std::string& reason) {
  if (held.phase == Phase::kClosing) return;
  const bool in_worker = held.phase == Phase::kInWorker;
  held.phase = Phase::kClosing;
  held.fetch.reset();
  if (in_worker && !held.unfinished.empty() && worker_.ready())
    worker_.Send(DropTicket{held.ticket});
  const bool give_back = !held.unfinished.empty() && !reason.empty();
  if (!held.unfinished.empty()) {
    LOG_INFO("agent: leaves lease={} unfinished={} reason={}", held.lease.value,
             held.unfinished.size(), reason.empty() ? "the lease has ended" : reason);
  }
  held.channel->Close(give_back ? std::optional(reason) : std::nullopt);
  AdvanceSoon();
}

void WorkSession::Remove(std::uint64_t ticket) {
  leases_.remove_if([&](const Held& held) { return held.ticket == ticket; });
  TellLeases();
  AdvanceSoon();
  FinishShutDown();
}

void WorkSession::FetchModel() {
  if (std::ranges::any_of(leases_, [](const Held& held) { return held.phase == Phase::kFetching; }))
    return;
  const auto next = std::ranges::find(leases_, Phase::kNeedsModel, &Held::phase);
  if (next == leases_.end()) return;
  next->phase = Phase::kFetching;
  const std::uint64_t ticket = next->ticket;
  next->fetch = artifacts_.Fetch(next->model, [this, ticket](Result<std::string> path) {
    Held* held = Find(ticket);
    if (held == nullptr || held->phase != Phase::kFetching) return;
    AdvanceSoon();
    if (path) {
      held->phase = Phase::kHasModel;
      held->model_path = *std::move(path);
      return;
    }
    ++failures_in_a_row_;
    trouble_ = path.error().message;
    PauseAsking(path.error());
    // Destroys the fetch that is calling us, so at the next turn.
    loop_.Post([this, ticket, error = path.error(), alive = std::weak_ptr(alive_)] {
      if (alive.expired()) return;
      if (Held* failed = Find(ticket)) Close(*failed, "cannot fetch the model: " + error.message);
    });
    held->phase = Phase::kHasModel;
    held->model_path.clear();
  });
}

void WorkSession::FeedWorker() {
  if (!worker_.ready() || loading_ticket_ != 0) return;
  for (Held& held : leases_) {
    if (held.phase == Phase::kClosing || held.phase == Phase::kInWorker) continue;
    if (held.phase != Phase::kHasModel || held.model_path.empty())
      return;  // in the order of their leases
    if (worker_model_ != held.model.digest) {
      // Loading frees the model before: what runs on it is finished first.
      const auto runs = [](const Held& other) {
        return other.phase == Phase::kInWorker && !other.unfinished.empty();
      };
      if (std::ranges::any_of(leases_, runs)) return;
      loading_ticket_ = held.ticket;
      worker_.Send(LoadModel{held.model_path});
      return;
    }
    RunRequests run{.ticket = held.ticket, .requests = {}};
    for (const auto& [index, request] : held.unfinished) run.requests.push_back(request);
    held.phase = Phase::kInWorker;
    const bool embeds = !run.requests.empty() && !run.requests[0].inputs.empty();
    meter_.Begin(clock_.Steady(), embeds ? WorkKind::kEmbedding : WorkKind::kGenerating);
    worker_.Send(run);
  }
}

void WorkSession::OnReady(const WorkerReady& ready, bool model_loaded) {
  profile_.backend = ready.vulkan ? BackendKind::kVulkan : BackendKind::kCpu;
  profile_.processor = ready.processor.empty() ? "unknown" : ready.processor;
  profile_.driver = ready.driver;
  profile_.memory_bytes = ready.memory_bytes;
  LOG_INFO("agent: worker ready backend={} processor={}", ready.vulkan ? "vulkan" : "cpu",
           ready.processor);
  if (!model_loaded) worker_model_.reset();
  loading_ticket_ = 0;
  meter_.ForgetProgress();
  AdvanceSoon();
}

void WorkSession::OnModelReady() {
  meter_.ForgetProgress();
  // The lease may have been closed meanwhile; the model is there all the same, but which is no
  // longer known.
  if (const Held* held = Find(loading_ticket_)) {
    worker_model_ = held->model.digest;
  } else {
    worker_model_.reset();
  }
  loading_ticket_ = 0;
  AdvanceSoon();
}

void WorkSession::OnModelFailed(const Error& error) {
  worker_model_.reset();
  ++failures_in_a_row_;
  trouble_ = "the model does not load: " + error.message;
  PauseAsking(error);
  if (Held* held = Find(std::exchange(loading_ticket_, 0))) Close(*held, trouble_);
  AdvanceSoon();
}

void WorkSession::OnFinished(RequestFinished finished) {
  const auto accuse = [&](std::string_view what) {
    worker_.Accuse(
        {ErrorCode::kDataLoss, fmt::format("the worker finished request {} of ticket {}, {}",
                                           finished.result.request_index, finished.ticket, what)});
  };
  if (finished.ticket == 0 || finished.ticket > last_ticket_)
    return accuse("which it was never given");
  Held* held = Find(finished.ticket);
  if (held == nullptr || held->phase == Phase::kClosing) return;  // dropped while it was on its way
  if (held->phase != Phase::kInWorker) return accuse("which it was not given yet");
  const auto request = held->unfinished.find(finished.result.request_index);
  if (request == held->unfinished.end()) return accuse("which it does not have");
  held->unfinished.erase(request);

  failures_in_a_row_ = 0;
  trouble_.clear();
  ask_backoff_.Reset();
  meter_.AddFinished(clock_.Steady(), finished.result.token_ids.size());

  finished.result.attempt = AttemptId("att_" + random_.Hex(kAttemptIdBytes));
  held->channel->Add(std::move(finished.result));
  if (held->unfinished.empty()) Close(*held, "");
  AdvanceSoon();
}

void WorkSession::OnProgress(const WorkProgress& progress) {
  meter_.AddProgress(clock_.Steady(), progress);
}

void WorkSession::OnLost(const Error& error) {
  worker_model_.reset();
  loading_ticket_ = 0;
  meter_.ForgetProgress();
  ++failures_in_a_row_;
  trouble_ = error.message;
  for (auto it = leases_.begin(); it != leases_.end();) {
    Held& held = *it++;
    if (held.phase == Phase::kInWorker) ++held.loss_count;
    if (held.loss_count >= options_.max_losses_per_lease ||
        failures_in_a_row_ >= options_.faulty_after) {
      PauseAsking(error);
      Close(held, "the worker failed again and again: " + error.message);
      continue;
    }
    if (held.phase != Phase::kInWorker && held.phase != Phase::kHasModel) continue;
    held.phase =
        Phase::kNeedsModel;  // fetched again: the file may have gone from the cache meanwhile
  }
  AdvanceSoon();
}

void WorkSession::NoteContact(const Status& status) {
  last_contact_ = status;
  if (status) {
    last_success_ = clock_.Steady();
    refused_ = false;
    if (failures_in_a_row_ == 0) trouble_.clear();
    return;
  }
  if (failures_in_a_row_ == 0) trouble_ = status.error().message;
  if (status.error().code == ErrorCode::kUnauthenticated ||
      status.error().code == ErrorCode::kUnimplemented) {
    refused_ = true;
    trouble_ = status.error().message;
  }
}

void WorkSession::NoteState() {
  const DeviceState state = status().state;
  if (told_state_ == state) return;
  told_state_ = state;
  heartbeat_.Send();
}

HeartbeatRequest WorkSession::MakeHeartbeat() const {
  HeartbeatRequest request{.status = status(), .leases = {}, .progress = meter_.progress()};
  for (const Held& held : leases_) {
    if (request.leases.size() < kMaxLeasesPerDevice && !held.channel->ended())
      request.leases.push_back(held.lease);
  }
  return request;
}

void WorkSession::OnHeartbeat(Result<HeartbeatReply> reply) {
  NoteContact(reply ? Status() : std::unexpected(reply.error()));
  if (reply) {
    for (const LeaseId& ended : reply->ended_leases) {
      const auto held = std::ranges::find(leases_, ended, &Held::lease);
      if (held != leases_.end()) Close(*held, "");
    }
  }
  AdvanceSoon();
  FinishShutDown();
}

}  // namespace fallow
