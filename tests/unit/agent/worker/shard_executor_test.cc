#include "agent/worker/shard_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "platform/fake/clock.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// Finishes one request a step, each step taking 400 ms. `before_step` lets a test put commands in
// during a step.
class FakeRunner : public engine::Runner {
 public:
  explicit FakeRunner(SimulatedClock& clock) : clock_(clock) {}

  void Add(std::uint64_t ticket, InferenceRequest request) override {
    ++add_count;
    if (before_add) before_add();
    queue_.push_back({ticket, request.index});
  }
  void Drop(std::uint64_t ticket) override {
    std::erase_if(queue_, [&](const auto& entry) { return entry.first == ticket; });
  }
  void Clear() override { queue_.clear(); }
  const engine::MemoryPlan& plan() const override { return plan_; }
  bool idle() const override { return queue_.empty(); }
  WorkProgress progress() const override {
    return {.generated_token_count = step_count_,
            .prompt_token_count = 0,
            .active_sequence_count = 0,
            .waiting_request_count = static_cast<std::uint32_t>(queue_.size())};
  }
  Result<std::vector<engine::FinishedRequest>> Step(const engine::StepControl& control) override {
    if (before_step) before_step(++step_count_);
    clock_.Advance(milliseconds(400));
    if (control.stopped()) return Fail(ErrorCode::kCancelled, "stopped");
    if (failure) return std::unexpected(*failure);
    engine::FinishedRequest finished{.ticket = queue_.front().first, .result = {}};
    finished.result.request_index = queue_.front().second;
    queue_.erase(queue_.begin());
    return std::vector{finished};
  }

  int add_count = 0;
  std::function<void()> before_add;
  std::function<void(std::uint64_t step)> before_step;
  std::optional<Error> failure;

 private:
  SimulatedClock& clock_;
  engine::MemoryPlan plan_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> queue_;
  std::uint64_t step_count_ = 0;
};

struct Fixture : ModelHost {
  SimulatedClock clock;
  Inbox inbox{clock};
  FakeRunner fake_runner{clock};
  bool loaded = false;
  std::function<void()> before_load;
  std::vector<FromWorker> sent;
  std::function<Status(const FromWorker&)> on_sent = [](const FromWorker&) { return Status(); };
  ShardExecutor executor{inbox, *this, clock, [this](const FromWorker& message) {
                           sent.push_back(message);
                           return on_sent(message);
                         }};

  Result<ModelReady> Load(const std::string& path, const engine::StepControl& control) override {
    if (before_load) before_load();
    if (control.stopped()) return Fail(ErrorCode::kCancelled, "stopped");
    loaded = path != "broken";
    if (!loaded) return Fail(ErrorCode::kInvalidArgument, "broken: not a GGUF file");
    return ModelReady{path, 512, 32};
  }
  engine::Runner* runner() override { return loaded ? &fake_runner : nullptr; }

  RunRequests Requests(std::uint64_t ticket, std::uint64_t count) {
    RunRequests run{.ticket = ticket, .requests = {}};
    for (std::uint64_t i = 0; i < count; ++i)
      run.requests.push_back({.index = i, .messages = {}, .stop = {}});
    return run;
  }
  // "ticket:index" of everything finished, in order.
  std::vector<std::string> Finished() const {
    std::vector<std::string> finished;
    for (const FromWorker& message : sent) {
      if (const auto* request = std::get_if<RequestFinished>(&message)) {
        finished.push_back(std::to_string(request->ticket) + ":" +
                           std::to_string(request->result.request_index));
      }
    }
    return finished;
  }
  template <class Message>
  std::vector<Message> Sent() const {
    std::vector<Message> messages;
    for (const FromWorker& message : sent) {
      if (const auto* value = std::get_if<Message>(&message)) messages.push_back(*value);
    }
    return messages;
  }
  // Closes the input once everything in it is done.
  void CloseAfterStep(std::uint64_t last) {
    fake_runner.before_step = [this, last](std::uint64_t step) {
      if (step > last) inbox.Close({});
    };
  }
};

TEST(ShardExecutor, RunsRequestsOfSeveralTicketsAndSendsEach) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 2));
  f.inbox.Put(f.Requests(2, 2));
  f.CloseAfterStep(3);
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_EQ(f.sent.front(), FromWorker(ModelReady{"m", 512, 32}));
  EXPECT_THAT(f.Finished(), ElementsAre("1:0", "1:1", "2:0"));
}

TEST(ShardExecutor, ReportsProgressOnceASecondAndWhenDone) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 5));  // 2 s of work
  f.fake_runner.before_step = [&](std::uint64_t step) {
    if (step == 5) f.inbox.Put(f.Requests(2, 1));
    if (step == 6) f.inbox.Close({});
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  std::vector<std::uint64_t> steps;
  for (const auto& report : f.Sent<ProgressReport>())
    steps.push_back(report.progress.generated_token_count);
  EXPECT_THAT(steps, ElementsAre(3, 5));  // after 1.2 s, and when the batch ran empty
}

TEST(ShardExecutor, ForgetsADroppedTicketAlone) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 3));
  f.inbox.Put(f.Requests(2, 2));
  f.fake_runner.before_step = [&](std::uint64_t step) {
    if (step == 1) f.inbox.Put(DropTicket{1});
    if (step == 4) f.inbox.Close({});
  };
  f.inbox.Put(f.Requests(3, 1));
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_THAT(f.Finished(), ElementsAre("1:0", "2:0", "2:1"));
}

TEST(ShardExecutor, StopsAtTheNextBoundaryAndSaysHowLongItTook) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 4));
  f.fake_runner.before_step = [&](std::uint64_t step) {
    if (step == 2) f.inbox.Put(StopWork{});
  };
  f.on_sent = [&](const FromWorker& message) {
    if (std::holds_alternative<Stopped>(message)) f.inbox.Put(f.Requests(2, 1));
    if (f.Finished().size() == 2) f.inbox.Close({});
    return Status();
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_THAT(f.Finished(), ElementsAre("1:0", "2:0"));
  EXPECT_THAT(f.Sent<Stopped>(), ElementsAre(Stopped{400'000}));
}

TEST(ShardExecutor, StopsBetweenTwoPromptsToo) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 1000));
  f.fake_runner.before_add = [&] {
    if (f.fake_runner.add_count == 3) f.inbox.Put(StopWork{});
  };
  f.on_sent = [&](const FromWorker& message) {
    if (std::holds_alternative<Stopped>(message)) f.inbox.Put(f.Requests(2, 1));
    if (f.Finished().size() == 1) f.inbox.Close({});
    return Status();
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_EQ(f.fake_runner.add_count, 4);
  EXPECT_THAT(f.Finished(), ElementsAre("2:0"));
}

TEST(ShardExecutor, GoesOnAfterAModelThatDoesNotLoad) {
  Fixture f;
  f.inbox.Put(LoadModel{"broken"});
  f.inbox.Put(LoadModel{"m"});
  f.on_sent = [&](const FromWorker& message) {
    if (std::holds_alternative<ModelReady>(message)) f.inbox.Close({});
    return Status();
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_THAT(f.sent, ElementsAre(FromWorker(WorkerFailure{
                                      {ErrorCode::kInvalidArgument, "broken: not a GGUF file"}}),
                                  FromWorker(ModelReady{"m", 512, 32})));
}

TEST(ShardExecutor, AStopBreaksALoadOff) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.before_load = [&] { f.inbox.Put(StopWork{}); };
  f.on_sent = [&](const FromWorker& message) {
    if (std::holds_alternative<Stopped>(message)) f.inbox.Close({});
    return Status();
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_THAT(f.sent, ElementsAre(FromWorker(WorkerFailure{{ErrorCode::kCancelled, "stopped"}}),
                                  FromWorker(Stopped{0})));
}

// Results do not depend on it, so nobody needs to know when it came.
TEST(ShardExecutor, APaceCountsInAStepUnderWay) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 1));
  f.fake_runner.before_step = [&](std::uint64_t) {
    f.inbox.Put(SetPace{0.25});
    EXPECT_EQ(f.inbox.control().share(), 0.25);
    f.inbox.Close({});
  };
  EXPECT_TRUE(f.executor.Run().has_value());
  EXPECT_EQ(f.sent.size(), 1u) << "a pace is not answered";
}

TEST(ShardExecutor, EndsWhenTheBackendFails) {
  Fixture f;
  f.inbox.Put(LoadModel{"m"});
  f.inbox.Put(f.Requests(1, 1));
  f.fake_runner.failure = Error{ErrorCode::kDataLoss, "the device was lost"};
  const Status status = f.executor.Run();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(f.sent.back(),
            FromWorker(WorkerFailure{{ErrorCode::kDataLoss, "the device was lost"}}));
}

TEST(ShardExecutor, RefusesRequestsWithoutAModel) {
  Fixture f;
  f.inbox.Put(f.Requests(1, 1));
  const Status status = f.executor.Run();
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("before a model"));
  EXPECT_EQ(f.Sent<WorkerFailure>().size(), 1u);
}

TEST(ShardExecutor, EndsWhenNobodyListens) {
  Fixture f;
  f.on_sent = [](const FromWorker&) { return Fail(ErrorCode::kUnavailable, "the pipe is closed"); };
  f.inbox.Put(LoadModel{"m"});
  EXPECT_EQ(f.executor.Run().error().code, ErrorCode::kUnavailable);
}

TEST(ShardExecutor, PassesOnWhyTheInputEnded) {
  Fixture f;
  f.inbox.Close(
      Fail(ErrorCode::kInvalidArgument, "frame: payload of 4294967295 bytes; at most 67108864"));
  EXPECT_THAT(f.executor.Run().error().message, HasSubstr("4294967295"));
}

}  // namespace
}  // namespace fallow
