#include "agent/worker/inbox.h"

#include <gtest/gtest.h>

#include <thread>

#include "platform/fake/clock.h"

namespace fallow {
namespace {

using Wait = Inbox::Wait;

TEST(Inbox, GivesCommandsInOrderWithTheirTimes) {
  SimulatedClock clock;
  Inbox inbox(clock);
  EXPECT_FALSE(inbox.Take(Wait::kNo).has_value());
  const SteadyTime first = clock.Steady();
  inbox.Put(LoadModel{"a"});
  clock.Advance(std::chrono::seconds(1));
  inbox.Put(DropTicket{3});
  auto command = inbox.Take(Wait::kYes);
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->message, ToWorker(LoadModel{"a"}));
  EXPECT_EQ(command->received_at, first);
  EXPECT_EQ(inbox.Take(Wait::kYes)->message, ToWorker(DropTicket{3}));
  EXPECT_FALSE(inbox.end().has_value());
}

TEST(Inbox, RaisesTheStopFlagUntilTheLastStopIsTaken) {
  SimulatedClock clock;
  Inbox inbox(clock);
  inbox.Put(DropTicket{1});
  EXPECT_FALSE(inbox.control().stopped());
  inbox.Put(StopWork{});
  inbox.Put(StopWork{});
  EXPECT_TRUE(inbox.control().stopped());
  (void)inbox.Take(Wait::kNo);
  EXPECT_TRUE(inbox.control().stopped());
  (void)inbox.Take(Wait::kNo);
  EXPECT_TRUE(inbox.control().stopped());
  (void)inbox.Take(Wait::kNo);
  EXPECT_FALSE(inbox.control().stopped());
}

TEST(Inbox, TheEndStopsWorkForGoodAndEndsWaiting) {
  SimulatedClock clock;
  Inbox inbox(clock);
  inbox.Put(StopWork{});
  std::thread reader([&] { inbox.Close({}); });
  EXPECT_TRUE(inbox.Take(Wait::kYes).has_value());
  EXPECT_FALSE(inbox.Take(Wait::kYes).has_value());
  reader.join();
  EXPECT_TRUE(inbox.control().stopped());
  ASSERT_TRUE(inbox.end().has_value());
  EXPECT_TRUE(inbox.end()->has_value());
}

}  // namespace
}  // namespace fallow
