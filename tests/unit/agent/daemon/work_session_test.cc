#include "agent/daemon/work_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/seeded_random.h"
#include "tests/unit/agent/daemon/fake_coordinator.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

struct Fixture {
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
        .duration = 60s,
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

TEST(WorkSession, TakesAShardFromQuestionToReport) {
  Fixture f;
  f.Begin();
  ASSERT_EQ(f.coordinator.leases.size(), 1u);
  EXPECT_EQ(f.coordinator.leases[0]->request.profile.processor, "AVX2, 2 threads");
  EXPECT_EQ(f.coordinator.leases[0]->request.profile.hostname, "attic");
  EXPECT_EQ(f.session.status().state, DeviceState::kIdle);
  f.Grant("lease_1", 10, 2);
  EXPECT_THAT(f.artifacts.wanted, ElementsAre("m"));
  f.BringModel();
  EXPECT_THAT(f.worker.Told<LoadModel>(), ElementsAre(LoadModel{"/models/m"}));
  EXPECT_THAT(f.worker.Told<RunRequests>(), IsEmpty());
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<RunRequests>().size(), 1u);
  EXPECT_EQ(f.worker.Told<RunRequests>()[0].requests.size(), 2u);
  EXPECT_EQ(f.session.status().state, DeviceState::kWorking);
  f.Finish(1, 10);
  f.Finish(1, 11);
  f.AcknowledgeAll();
  EXPECT_THAT(f.Reported(), ElementsAre(10, 11));
  EXPECT_THAT(f.session.leases(), IsEmpty());
  EXPECT_TRUE(f.coordinator.releases.empty()) << "a finished lease needs no release";
  EXPECT_EQ(f.session.finished_request_count(), 2u);
  EXPECT_EQ(f.session.generated_token_count(), 6u);
}

TEST(WorkSession, NamesEachAttemptOnce) {
  Fixture f;
  f.BeginWork(3);
  for (std::uint64_t i = 0; i < 3; ++i) f.Finish(1, i);
  f.AcknowledgeAll();
  std::set<std::string> names;
  for (const auto& report : f.coordinator.reports) {
    for (const auto& result : report->request.results) names.insert(result.attempt.value);
  }
  EXPECT_EQ(names.size(), 3u);
  EXPECT_THAT(*names.begin(), testing::StartsWith("att_"));
}

TEST(WorkSession, FetchesTheNextLeaseWhileTheFirstDrains) {
  Fixture f;
  f.BeginWork(100);
  EXPECT_EQ(f.coordinator.leases.size(), 1u) << "100 in hand are enough for now";
  for (std::uint64_t i = 0; i < 36; ++i) f.Finish(1, i);
  ASSERT_EQ(f.coordinator.leases.size(), 2u);
  f.Grant("lease_2", 100, 100);
  f.BringModel();
  ASSERT_EQ(f.worker.Told<RunRequests>().size(), 2u)
      << "the same model: added to the running batch";
  EXPECT_EQ(f.worker.Told<RunRequests>()[1].ticket, 2u);
  EXPECT_EQ(f.coordinator.leases.size(), 2u) << "two leases are enough";
}

TEST(WorkSession, LoadsAnotherModelOnlyWhenTheFirstHasDrained) {
  Fixture f;
  f.BeginWork(2);
  f.Grant("lease_2", 0, 1, "other");
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 1u);
  f.Finish(1, 0);
  f.Finish(1, 1);
  EXPECT_THAT(f.worker.Told<LoadModel>(),
              ElementsAre(LoadModel{"/models/m"}, LoadModel{"/models/other"}));
  f.ModelLoads();
  EXPECT_EQ(f.worker.Told<RunRequests>().size(), 2u);
}

TEST(WorkSession, GivesEverythingBackWhenTheOwnerReturns) {
  Fixture f;
  f.BeginWork(70);
  f.AnswerHeartbeats();
  f.Finish(1, 0);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  EXPECT_EQ(f.worker.stops.size(), 1u);
  EXPECT_EQ(f.session.status().state, DeviceState::kInUse);
  f.loop.RunPending();
  EXPECT_TRUE(f.coordinator.releases.empty()) << "what is finished goes first";
  f.AcknowledgeAll();
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_EQ(f.coordinator.releases[0]->request.lease, LeaseId("lease_1"));
  EXPECT_EQ(f.coordinator.releases[0]->request.reason, "input 0 s ago");
  EXPECT_EQ(f.coordinator.releases[0]->request.status.state, DeviceState::kInUse);
  f.coordinator.releases[0]->Give(Status());
  f.loop.RunPending();
  EXPECT_THAT(f.session.leases(), IsEmpty());
  EXPECT_EQ(f.coordinator.heartbeats.back()->request.status.state, DeviceState::kInUse)
      << "told at once";
}

TEST(WorkSession, AGrantThatComesAfterTheOwnerGoesBackAtOnce) {
  Fixture f;
  f.Begin();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  f.Grant("lease_1", 0, 5);
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.artifacts.wanted, IsEmpty());
}

TEST(WorkSession, AsksForNothingWhileTheMachineIsInUse) {
  Fixture f;
  f.session.Stop(DeviceState::kInUse, "somebody is here");
  f.loop.Advance(10min);
  EXPECT_TRUE(f.coordinator.leases.empty());
  EXPECT_FALSE(f.worker.wanted);
  EXPECT_GE(f.coordinator.heartbeats.size(), 1u);
}

TEST(WorkSession, WorksAgainAfterTheOwnerHasGone) {
  Fixture f;
  f.BeginWork(70);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago");
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.Begin();
  ASSERT_EQ(f.coordinator.leases.size(), 2u);
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 2u) << "a new process has no model";
}

// The owner only types: the next pause finds the model where it was.
TEST(WorkSession, DoesNotLoadAModelAgainThatWasKept) {
  Fixture f;
  f.BeginWork(70);
  const SteadyTime input = f.clock.Steady();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true, .input_at = input});
  ASSERT_EQ(f.worker.stops.size(), 1u);
  EXPECT_TRUE(f.worker.stops[0].keep_memory);
  EXPECT_EQ(f.worker.stops[0].input_at, input);
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.session.Run("no input for 3 min");
  f.worker.BecomeReady(/*model_loaded=*/true);
  f.loop.RunPending();
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 1u);
  EXPECT_EQ(f.worker.Told<RunRequests>().size(), 2u);
}

TEST(WorkSession, LoadsAgainWhatAStopBrokeOff) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 5);
  f.BringModel();
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true});
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.Begin();
  f.Grant("lease_2", 0, 5);
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 2u);
}

TEST(WorkSession, EndsAKeptWorkerWhenItsMemoryIsWantedLater) {
  Fixture f;
  f.BeginWork(70);
  f.session.Stop(DeviceState::kInUse, "input 0 s ago", {.keep_memory = true});
  f.session.Stop(DeviceState::kInUse, "input 5 s ago", {.keep_memory = true});
  EXPECT_EQ(f.worker.stops.size(), 1u);
  f.session.Stop(DeviceState::kInUse, "a game runs", {.keep_memory = false});
  ASSERT_EQ(f.worker.stops.size(), 2u);
  EXPECT_FALSE(f.worker.stops[1].keep_memory);
}

TEST(WorkSession, RunsWhatALostWorkerHadAgain) {
  Fixture f;
  f.BeginWork(3);
  f.Finish(1, 1);
  f.worker.Lose("killed by signal 11");
  f.loop.RunPending();
  f.worker.BecomeReady();
  f.loop.RunPending();
  f.BringModel();
  f.ModelLoads();
  const auto runs = f.worker.Told<RunRequests>();
  ASSERT_EQ(runs.size(), 2u);
  ASSERT_EQ(runs[1].requests.size(), 2u) << "the finished one is not run again";
  EXPECT_EQ(runs[1].requests[0].index, 0u);
  EXPECT_EQ(runs[1].requests[1].index, 2u);
}

TEST(WorkSession, GivesALeaseBackThatKillsWorkers) {
  Fixture f;
  f.BeginWork(3);
  for (int i = 0; i < f.options.max_losses_per_lease; ++i) {
    EXPECT_TRUE(f.coordinator.releases.empty());
    f.worker.Lose("killed by signal 11");
    f.loop.RunPending();
    f.worker.BecomeReady();
    f.loop.RunPending();
    if (f.artifacts.waiting) {
      f.BringModel();
      f.ModelLoads();
    }
  }
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("signal 11"));
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
  EXPECT_THAT(f.session.status().reason, HasSubstr("signal 11"));
}

TEST(WorkSession, AccusesAWorkerThatLies) {
  Fixture f;
  f.BeginWork(2);
  f.Finish(9, 0);
  f.Finish(0, 0);
  f.Finish(1, 77);
  f.Finish(1, 0);
  f.Finish(1, 0);  // twice
  EXPECT_THAT(f.worker.crimes, ElementsAre(HasSubstr("never given"), HasSubstr("never given"),
                                           HasSubstr("does not have"), HasSubstr("does not have")));
  EXPECT_THAT(f.Reported(), ElementsAre(0));
}

TEST(WorkSession, DropsALeaseThatHasEnded) {
  Fixture f;
  f.BeginWork(3);
  f.Finish(1, 0);
  f.coordinator.reports[0]->Give(ReportReply{false});
  f.loop.RunPending();
  EXPECT_THAT(f.worker.Told<DropTicket>(), ElementsAre(DropTicket{1}));
  EXPECT_TRUE(f.coordinator.releases.empty());
  EXPECT_THAT(f.session.leases(), IsEmpty());
  f.Finish(1, 1);  // was on its way
  EXPECT_THAT(f.worker.crimes, IsEmpty());
}

TEST(WorkSession, HearsFromAHeartbeatThatALeaseHasEnded) {
  Fixture f;
  f.BeginWork(3);
  f.AnswerHeartbeats();
  f.loop.Advance(f.options.heartbeat_period);
  ASSERT_THAT(f.coordinator.heartbeats.back()->request.leases, ElementsAre(LeaseId("lease_1")));
  f.coordinator.heartbeats.back()->Give(
      HeartbeatReply{{LeaseId("lease_1"), LeaseId("lease_unknown")}});
  f.loop.RunPending();
  EXPECT_THAT(f.worker.Told<DropTicket>(), ElementsAre(DropTicket{1}));
  EXPECT_THAT(f.session.leases(), IsEmpty());
}

TEST(WorkSession, GivesALeaseBackWhoseModelDoesNotLoad) {
  Fixture f;
  for (int i = 1; i <= f.options.faulty_after; ++i) {
    if (i == 1) f.Begin();
    f.Grant("lease_" + std::to_string(i), 0, 3);
    f.BringModel();
    f.worker.events.on_model_failed({ErrorCode::kInvalidArgument, "not a GGUF file"});
    f.loop.RunPending();
    ASSERT_EQ(f.coordinator.releases.size(), static_cast<std::size_t>(i));
    f.coordinator.releases.back()->Give(Status());
    const auto asked = f.coordinator.leases.size();
    f.loop.RunPending();
    EXPECT_EQ(f.coordinator.leases.size(), asked) << "not asked again at once";
    f.loop.Advance(2min);
    EXPECT_EQ(f.coordinator.leases.size(), asked + 1);
  }
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("not a GGUF file"));
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
}

TEST(WorkSession, GivesALeaseBackWhoseModelCannotBeFetched) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 3);
  f.artifacts.waiting(Fail(ErrorCode::kResourceExhausted, "the disk is full"));
  f.loop.RunPending();
  ASSERT_EQ(f.coordinator.releases.size(), 1u);
  EXPECT_THAT(f.coordinator.releases[0]->request.reason, HasSubstr("the disk is full"));
  EXPECT_THAT(f.session.status().reason, HasSubstr("the disk is full"));
}

// The worker answers in order: a second load must wait for the first one's answer.
TEST(WorkSession, ALeaseThatEndsDuringItsLoadDoesNotConfuseTheNext) {
  Fixture f;
  f.Begin();
  f.Grant("lease_1", 0, 3);
  f.BringModel();
  f.AnswerHeartbeats({{LeaseId("lease_1")}});
  f.Grant("lease_2", 0, 3, "other");
  f.BringModel();
  EXPECT_EQ(f.worker.Told<LoadModel>().size(), 1u);
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<LoadModel>().size(), 2u);
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<RunRequests>().size(), 1u);
  EXPECT_EQ(f.worker.Told<RunRequests>()[0].ticket, 2u);
}

TEST(WorkSession, AsksAgainWithGrowingDelaysWhileTheCoordinatorIsAway) {
  Fixture f;
  f.Begin();
  for (int i = 0; i < 5; ++i) {
    f.coordinator.leases.back()->Give(ErrorCode::kUnavailable, "connection refused");
    f.loop.RunPending();
    EXPECT_EQ(f.coordinator.leases.size(), static_cast<std::size_t>(i) + 1);
    EXPECT_THAT(f.session.status().reason, HasSubstr("connection refused"));
    f.loop.Advance(60s);
    ASSERT_EQ(f.coordinator.leases.size(), static_cast<std::size_t>(i) + 2);
  }
  EXPECT_EQ(f.session.status().state, DeviceState::kIdle) << "the device is well";
}

TEST(WorkSession, SaysThatTheCoordinatorNoLongerKnowsIt) {
  Fixture f;
  f.Begin();
  f.coordinator.leases.back()->Give(ErrorCode::kUnauthenticated,
                                    "no such device; run `fallow-agent join LINK`");
  f.loop.RunPending();
  EXPECT_EQ(f.session.status().state, DeviceState::kFaulty);
  EXPECT_THAT(f.session.status().reason, HasSubstr("fallow-agent join"));
}

// A killed agent cannot release; the next start does it for it, so that its requests need not wait
// for the expiry.
TEST(WorkSession, GivesBackWhatAKilledAgentHeld) {
  Fixture f;
  f.session.GiveBack({LeaseId("lease_8"), LeaseId("lease_9")});
  f.loop.RunPending();
  ASSERT_EQ(f.coordinator.releases.size(), 2u);
  EXPECT_EQ(f.coordinator.releases[0]->request.lease, LeaseId("lease_8"));
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_8"), LeaseId("lease_9")));
  f.coordinator.releases[0]->Give(Status());
  f.coordinator.releases[1]->Give(ErrorCode::kNotFound, "no such lease");
  f.loop.RunPending();
  EXPECT_THAT(f.told_leases, IsEmpty());
}

TEST(WorkSession, TellsWhichLeasesItHolds) {
  Fixture f;
  f.BeginWork(1);
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_1")));
  f.Finish(1, 0);
  EXPECT_THAT(f.told_leases, ElementsAre(LeaseId("lease_1"))) << "not acknowledged yet";
  f.AcknowledgeAll();
  EXPECT_THAT(f.told_leases, IsEmpty());
}

TEST(WorkSession, ShutsDownWhenEverythingIsReleased) {
  Fixture f;
  f.BeginWork(3);
  bool done = false;
  f.session.ShutDown(5s, [&] { done = true; });
  f.loop.RunPending();
  f.coordinator.releases[0]->Give(Status());
  f.AnswerHeartbeats();
  EXPECT_TRUE(done);
}

TEST(WorkSession, ShutsDownInTimeEvenWhenNobodyAnswers) {
  Fixture f;
  f.BeginWork(3);
  int done = 0;
  f.session.ShutDown(5s, [&] { ++done; });
  f.loop.Advance(4999ms);
  EXPECT_EQ(done, 0);
  f.loop.Advance(1ms);
  EXPECT_EQ(done, 1);
  f.session.Run("no input for 3 min");
  EXPECT_NE(f.session.status().state, DeviceState::kWorking);
}

TEST(WorkSession, MeasuresItsSpeedWhileItWorks) {
  Fixture f;
  f.BeginWork(3);
  const std::uint32_t active = 3;
  f.clock.Advance(1s);
  f.worker.events.on_progress({.generated_token_count = 100, .active_sequence_count = active});
  f.clock.Advance(1s);
  f.worker.events.on_progress({.generated_token_count = 300, .active_sequence_count = 0});
  EXPECT_DOUBLE_EQ(f.session.status().tokens_per_second, 150);
  f.clock.Advance(1h);  // nothing to do
  f.worker.events.on_progress({.generated_token_count = 300, .active_sequence_count = active});
  EXPECT_DOUBLE_EQ(f.session.status().tokens_per_second, 150);
}

// How fast a device reads for embeddings says nothing of how fast it generates.
TEST(WorkSession, MeasuresReadingForEmbeddingsApart) {
  Fixture f;
  f.BeginWork(3);
  f.clock.Advance(1s);
  f.worker.events.on_progress({.generated_token_count = 100, .prompt_token_count = 5000});
  for (const std::uint64_t index : {0, 1, 2}) f.Finish(1, index);
  f.AcknowledgeAll();

  f.GrantEmbeddings("lease_2", 0, 2, "vectors");
  f.BringModel();
  f.ModelLoads();
  ASSERT_EQ(f.worker.Told<RunRequests>().size(), 2u);
  f.clock.Advance(2s);
  f.worker.events.on_progress({.generated_token_count = 0, .prompt_token_count = 8000});
  EXPECT_DOUBLE_EQ(f.session.status().tokens_per_second, 100);
  EXPECT_DOUBLE_EQ(f.session.status().embedding_tokens_per_second, 4000);
}

}  // namespace
}  // namespace fallow
