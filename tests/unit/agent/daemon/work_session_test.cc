// Work as it goes well: leases, models, results, speed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/agent/daemon/work_session_fixture.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Fixture = WorkSessionFixture;

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
