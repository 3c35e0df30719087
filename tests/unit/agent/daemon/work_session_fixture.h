// A work session whose coordinator, artifacts and worker the test plays.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/daemon/work_session.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/seeded_random.h"
#include "tests/unit/agent/daemon/fake_coordinator.h"

namespace fallow {

class FakeWorker : public Worker {
 public:
  void SetEvents(Events events_in) override { events = std::move(events_in); }
  void Start() override { wanted = true; }
  bool ready() const override { return is_ready; }
  void Send(const ToWorker& message) override { told.push_back(message); }
  void Accuse(const Error& error) override { crimes.push_back(error.message); }
  void Stop(const StopOptions& options) override {
    wanted = is_ready = false;
    stops.push_back(options);
  }

  void BecomeReady(bool model_loaded = false) {
    is_ready = true;
    events.on_ready(
        {.vulkan = false, .processor = "AVX2, 2 threads", .driver = "", .memory_bytes = 1 << 30},
        model_loaded);
  }
  void Lose(std::string why) {
    is_ready = false;
    events.on_lost({ErrorCode::kUnavailable, std::move(why)});
  }
  template <class Message>
  std::vector<Message> Told() const {
    std::vector<Message> messages;
    for (const ToWorker& message : told) {
      if (const auto* value = std::get_if<Message>(&message)) messages.push_back(*value);
    }
    return messages;
  }

  Events events;
  bool wanted = false;
  bool is_ready = false;
  std::vector<StopOptions> stops;
  std::vector<ToWorker> told;
  std::vector<std::string> crimes;
};

class FakeArtifacts : public ArtifactSource {
 public:
  struct Handle : ArtifactFetch {
    std::uint64_t received_bytes() const override { return 0; }
  };
  std::unique_ptr<ArtifactFetch> Fetch(const ModelArtifact& artifact,
                                       std::function<void(Result<std::string>)> done) override {
    wanted.push_back(artifact.model.value);
    waiting = std::move(done);
    return std::make_unique<Handle>();
  }
  std::vector<Digest> Cached() const override { return {}; }

  void Bring() { std::exchange(waiting, nullptr)("/models/" + wanted.back()); }

  std::vector<std::string> wanted;
  std::function<void(Result<std::string>)> waiting;
};

struct WorkSessionFixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  SeededRandom random;
  FakeCoordinator coordinator;
  FakeArtifacts artifacts;
  FakeWorker worker;
  std::vector<LeaseId> told_leases;
  WorkSessionOptions options{
      .on_leases_changed = [this](const std::vector<LeaseId>& ids) { told_leases = ids; }};
  WorkSession session{loop,   clock, random, coordinator, artifacts, worker, {.hostname = "attic"},
                      options};

  // Free, with a worker that is ready and a question for work under way.
  void Begin() {
    session.Run("no input for 3 min");
    loop.RunPending();
    worker.BecomeReady();
    loop.RunPending();
  }
  void Grant(const std::string& lease, std::uint64_t first, std::uint64_t count,
             const std::string& model = "m") {
    Give(lease, first, count, model, {.messages = {{"user", "x"}}, .stop = {}});
  }
  void GrantEmbeddings(const std::string& lease, std::uint64_t first, std::uint64_t count,
                       const std::string& model) {
    Give(lease, first, count, model, {.inputs = {{"x", {}}}});
  }
  void Give(const std::string& lease, std::uint64_t first, std::uint64_t count,
            const std::string& model, InferenceRequest request) {
    LeaseGrant grant{
        .lease = LeaseId(lease),
        .job = JobId("batch_1"),
        .model = {.model = ModelId(model), .digest = Sha256::Of(model), .size_bytes = 100},
        .duration = std::chrono::seconds(60),
        .requests = {}};
    for (std::uint64_t i = first; i < first + count; ++i) {
      request.index = i;
      grant.requests.push_back(request);
    }
    coordinator.leases.back()->Give(LeaseReply{grant});
    loop.RunPending();
  }
  void BringModel() {
    artifacts.Bring();
    loop.RunPending();
  }
  void ModelLoads() {
    worker.events.on_model_ready({"m", 512, 32});
    loop.RunPending();
  }
  void Finish(std::uint64_t ticket, std::uint64_t index) {
    RequestFinished finished{.ticket = ticket, .result = {}};
    finished.result.request_index = index;
    finished.result.token_ids = {1, 2, 3};
    worker.events.on_finished(std::move(finished));
    loop.RunPending();
  }
  // As Begin, with lease_1 of `count` requests in the worker.
  void BeginWork(std::uint64_t count) {
    Begin();
    Grant("lease_1", 0, count);
    BringModel();
    ModelLoads();
  }
  void AcknowledgeAll() {
    for (std::size_t i = 0; i < coordinator.reports.size(); ++i) {
      if (!coordinator.reports[i]->answered) coordinator.reports[i]->Give(ReportReply{true});
    }
    loop.RunPending();
  }
  // Those that wait for it, and those that this sets off.
  void AnswerHeartbeats(const HeartbeatReply& reply = {}) {
    for (std::size_t i = 0; i < coordinator.heartbeats.size(); ++i) {
      if (!coordinator.heartbeats[i]->answered) coordinator.heartbeats[i]->Give(reply);
    }
    loop.RunPending();
  }
  std::vector<std::uint64_t> Reported() {
    std::vector<std::uint64_t> indices;
    for (const auto& report : coordinator.reports) {
      for (const auto& result : report->request.results) indices.push_back(result.request_index);
    }
    return indices;
  }
};

}  // namespace fallow
