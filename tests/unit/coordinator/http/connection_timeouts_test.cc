#include "coordinator/http/connection_timeouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Verdict = ConnectionTimeouts::Verdict;

constexpr ServerLimits kLimits{.head_timeout = 10s, .idle_timeout = 75s};

// Ticks for `time`, or until there is something else to do than to wait.
Verdict After(ConnectionTimeouts& timeouts, std::chrono::milliseconds time,
              const ConnectionTimeouts::View& view) {
  for (; time > 0s; time -= timeouts.tick_time()) {
    const Verdict verdict = timeouts.Tick(view);
    if (verdict != Verdict::kWait) return verdict;
  }
  return Verdict::kWait;
}

TEST(ConnectionTimeouts, LooksTenTimesInTheShorterTimeout) {
  EXPECT_EQ(ConnectionTimeouts(kLimits).tick_time(), 1s);
  EXPECT_EQ(ConnectionTimeouts({.head_timeout = 10s, .idle_timeout = 1ms}).tick_time(), 1ms);
}

TEST(ConnectionTimeouts, GivesAHeadItsTimeHoweverItComes) {
  ConnectionTimeouts timeouts(kLimits);
  for (int i = 0; i < 10; ++i) {
    timeouts.Received();
    EXPECT_EQ(After(timeouts, 1s, {.stage = Stage::kHead, .request_begun = true}), Verdict::kWait);
  }
  EXPECT_EQ(After(timeouts, 1s, {.stage = Stage::kHead, .request_begun = true}),
            Verdict::kHeadLate);
}

TEST(ConnectionTimeouts, GivesAConnectionThatSaysNothingTheTimeOfAHead) {
  ConnectionTimeouts timeouts(kLimits);
  EXPECT_EQ(After(timeouts, 10s, {.stage = Stage::kHead}), Verdict::kWait);
  EXPECT_EQ(After(timeouts, 1s, {.stage = Stage::kHead}), Verdict::kClose);
}

TEST(ConnectionTimeouts, GivesAServedConnectionTheIdleTime) {
  ConnectionTimeouts timeouts(kLimits);
  EXPECT_EQ(After(timeouts, 9s, {.stage = Stage::kHead, .request_begun = true}), Verdict::kWait);
  timeouts.HeadRead();
  timeouts.RequestDone();
  EXPECT_EQ(After(timeouts, 75s, {.stage = Stage::kHead}), Verdict::kWait);
  EXPECT_EQ(After(timeouts, 1s, {.stage = Stage::kHead}), Verdict::kClose);
}

TEST(ConnectionTimeouts, TellsASilentBodyFromATrickledOne) {
  ConnectionTimeouts silent(kLimits), trickled(kLimits), slow(kLimits);
  EXPECT_EQ(After(silent, 75s, {.stage = Stage::kBody}), Verdict::kWait);
  EXPECT_EQ(After(silent, 1s, {.stage = Stage::kBody}), Verdict::kBodyStopped);
  for (std::uint64_t second = 1; second <= 200; ++second) {
    trickled.Received();
    slow.Received();
    const ConnectionTimeouts::View a_little{.stage = Stage::kBody, .body_bytes = second};
    EXPECT_EQ(trickled.Tick(a_little), second > 75 ? Verdict::kBodyTrickles : Verdict::kWait);
    const ConnectionTimeouts::View enough{.stage = Stage::kBody,
                                          .body_bytes = second * kMinBodyBytesPerSecond};
    EXPECT_EQ(slow.Tick(enough), Verdict::kWait);
  }
}

TEST(ConnectionTimeouts, WaitsForAHandlerForEver) {
  ConnectionTimeouts timeouts(kLimits);
  EXPECT_EQ(After(timeouts, 24h, {.stage = Stage::kReply}), Verdict::kWait);
}

// What is written newly does not hide that nothing goes.
TEST(ConnectionTimeouts, ClosesWhenNothingOfAReplyGoes) {
  ConnectionTimeouts stuck(kLimits), moving(kLimits);
  std::size_t pending = 1'000;
  stuck.Wrote(pending);
  moving.Wrote(pending);
  for (int second = 1; second <= 200; ++second, pending += 100) {
    EXPECT_EQ(stuck.Tick({.stage = Stage::kReply, .pending_write_bytes = pending}),
              second > 75 ? Verdict::kClose : Verdict::kWait);
    EXPECT_EQ(moving.Tick({.stage = Stage::kReply, .pending_write_bytes = pending}),
              Verdict::kWait);
    stuck.Wrote(100);
    moving.Wrote(101);
  }
}

TEST(ConnectionTimeouts, LingersUntilTheClientClosesOrForAWhile) {
  ConnectionTimeouts timeouts(kLimits);
  timeouts.LingerBegan();
  EXPECT_EQ(After(timeouts, 2s, {.stage = Stage::kLinger}), Verdict::kWait);
  EXPECT_EQ(timeouts.Tick({.stage = Stage::kLinger, .pending_write_bytes = 1}), Verdict::kWait);
  EXPECT_EQ(timeouts.Tick({.stage = Stage::kLinger}), Verdict::kClose);
  timeouts.LingerBegan();
  EXPECT_EQ(timeouts.Tick({.stage = Stage::kLinger, .peer_ended = true}), Verdict::kClose);
}

TEST(ConnectionTimeouts, LingersNoLongerThanTheIdleTimeForOneThatGoesOnSending) {
  ConnectionTimeouts timeouts(kLimits);
  timeouts.LingerBegan();
  for (int second = 1; second <= 76; ++second) {
    timeouts.Received();
    EXPECT_EQ(timeouts.Tick({.stage = Stage::kLinger}),
              second > 75 ? Verdict::kClose : Verdict::kWait);
  }
}

TEST(Connection, GivesUpOnASlowHeadWith408) {
  Fixture f;
  f.Say("GET / HTTP/1.1\r\nHost:");
  for (int i = 0; i < 9; ++i) {
    f.loop.Advance(1s);
    EXPECT_EQ(f.Say("x"), "") << i;  // trickling does not help
  }
  f.received.clear();
  f.loop.Advance(3s);
  EXPECT_THAT(f.received, StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(f.client_saw_end);
  f.loop.Advance(5s);
  EXPECT_TRUE(f.closed);
}

TEST(Connection, ClosesQuietlyWhenIdle) {
  Fixture f;
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  f.loop.Advance(70s);
  EXPECT_FALSE(f.closed);
  f.received.clear();
  f.loop.Advance(10s);
  EXPECT_TRUE(f.closed);
  EXPECT_EQ(f.received, "");
}

TEST(Connection, GivesUpOnABodyThatStopsArriving) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  f.loop.Advance(80s);
  EXPECT_THAT(f.received, StartsWith("HTTP/1.1 408"));
}

TEST(Connection, GivesUpOnATrickledBody) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  for (int i = 0; i < 7; ++i) {
    f.loop.Advance(10s);
    f.Say("x");
  }
  EXPECT_THAT(f.received, Not(HasSubstr("408")));
  f.loop.Advance(10s);
  EXPECT_THAT(f.received, HasSubstr("HTTP/1.1 408"));
  f.loop.Advance(5s);
  EXPECT_TRUE(f.closed);
}

// Refused at its head, the sender could trickle the rest for ever.
TEST(Connection, DropsATrickledBodyThatWasAnsweredLongAgo) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Send({.status = 404, .headers = {}, .body = {}});
    return nullptr;
  });
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_THAT(f.received, StartsWith("HTTP/1.1 404"));
  for (int i = 0; i < 8; ++i) {
    f.loop.Advance(10s);
    if (!f.closed) f.Say("x");
  }
  f.loop.Advance(5s);
  EXPECT_TRUE(f.closed);
}

// Refused for its pace, the sender goes on as before.
TEST(Connection, DropsATrickledBodyThatGoesOnAfterItsRefusal) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  std::string all;
  for (int i = 0; i < 160 && !f.closed; ++i) {
    f.loop.Advance(1s);
    all += f.received;
    if (!f.closed) f.Say("x");
  }
  EXPECT_THAT(all, HasSubstr("HTTP/1.1 408"));
  EXPECT_TRUE(f.closed);
}

TEST(Connection, TakesALongBodyThatComesSlowlyButSteadily) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  for (int i = 0; i < 60; ++i) {
    f.loop.Advance(10s);
    f.Say(std::string(3000, 'x'));
  }
  EXPECT_FALSE(f.closed);
  EXPECT_THAT(f.received, Not(HasSubstr("408")));
}

TEST(Connection, WaitsForASlowHandlerAsLongAsItTakes) {
  std::shared_ptr<Responder> poll;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    poll = std::move(responder);
    return nullptr;
  });
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  f.loop.Advance(1h);
  ASSERT_FALSE(f.closed);
  poll->Send({.body = "at last"});
  f.loop.RunPending();
  EXPECT_THAT(f.received, EndsWith("at last"));
}

TEST(Connection, ClosesWhenTheClientStopsReadingAReply) {
  std::shared_ptr<Responder> stream;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {}, std::nullopt);
    stream = std::move(responder);
    return nullptr;
  });
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  f.client->PauseReading();
  stream->Write(AsBytes("nobody reads this"));
  f.loop.Advance(90s);
  EXPECT_TRUE(stream->gone());
  EXPECT_TRUE(f.closed);
}

}  // namespace
}  // namespace fallow::http
