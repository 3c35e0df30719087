#include "coordinator/http/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// A connection that notes what its exchange asks of it.
struct NotingChannel final : ReplyChannel {
  AfterReply DecideAfterReply(bool ends_with_connection) override {
    notes += ends_with_connection ? "decide, until close; " : "decide; ";
    return AfterReply::kKeepAlive;
  }
  void Write(Bytes bytes) override { written += AsText(bytes); }
  std::size_t pending_write_bytes() const override { return pending; }
  void OnOverflow() override { notes += "overflow; "; }
  void OnComplete(bool kept_its_length) override {
    notes += kept_its_length ? "complete; " : "short; ";
  }
  void OnAbandoned(bool head_sent) override {
    notes += head_sent ? "abandoned midway; " : "abandoned; ";
  }

  std::string notes;
  std::string written;
  std::size_t pending = 0;
};

std::shared_ptr<Exchange> NewExchange(NotingChannel& channel, ReplyEncoder::Client client = {}) {
  return std::make_shared<Exchange>(&channel, client);
}

TEST(Exchange, SendsAReplyAndIsThenGone) {
  NotingChannel channel;
  auto exchange = NewExchange(channel);
  exchange->Send({.body = "hello"});
  EXPECT_EQ(channel.notes, "decide; complete; ");
  EXPECT_THAT(channel.written, EndsWith("\r\n\r\nhello"));
  EXPECT_TRUE(exchange->gone());
  exchange->Write(AsBytes("too late"));
  exchange->End();
  exchange = nullptr;
  EXPECT_EQ(channel.notes, "decide; complete; ");
}

TEST(Exchange, CompletesAReplyToHeadWithItsHead) {
  NotingChannel channel;
  const auto exchange = NewExchange(channel, {.wants_head_only = true});
  exchange->Start(200, {}, 1'000);
  EXPECT_EQ(channel.notes, "decide; complete; ");
}

TEST(Exchange, SaysThatOnlyTheConnectionEndsABody) {
  NotingChannel channel;
  const auto exchange = NewExchange(channel, {.knows_chunks = false});
  exchange->Start(200, {}, std::nullopt);
  EXPECT_EQ(channel.notes, "decide, until close; ");
  exchange->End();
}

TEST(Exchange, TellsOfAHandlerThatLetsGo) {
  NotingChannel before, midway;
  NewExchange(before).reset();
  EXPECT_EQ(before.notes, "abandoned; ");
  NewExchange(midway)->Start(200, {}, std::nullopt);
  EXPECT_EQ(midway.notes, "decide; abandoned midway; ");
}

TEST(Exchange, IsSlowWhileMuchIsPendingAndOverflowsBeyondTheLimit) {
  NotingChannel channel;
  const auto exchange = NewExchange(channel);
  exchange->Start(200, {}, std::nullopt);
  EXPECT_FALSE(exchange->slow());
  channel.pending = kStreamHighWaterBytes;
  EXPECT_TRUE(exchange->slow());
  channel.pending = kMaxPendingStreamedBytes - 3;
  exchange->Write(AsBytes("abc"));
  EXPECT_THAT(channel.written, EndsWith("abc\r\n"));
  EXPECT_EQ(channel.notes, "decide; ");
  exchange->Write(AsBytes("abcd"));
  EXPECT_EQ(channel.notes, "decide; overflow; ");
  exchange->Lose();
}

TEST(Exchange, CallsOnWritableEachTimeAndOnGoneOnce) {
  NotingChannel channel;
  const auto exchange = NewExchange(channel);
  int writable = 0, gone = 0;
  exchange->OnWritable([&] { ++writable; });
  exchange->OnGone([&] { ++gone; });
  exchange->CallOnWritable();
  exchange->CallOnWritable();
  EXPECT_EQ(writable, 2);
  if (const auto on_gone = exchange->Lose()) on_gone();
  EXPECT_EQ(exchange->Lose(), nullptr);
  exchange->CallOnWritable();
  EXPECT_EQ(writable, 2);
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(exchange->gone());
  EXPECT_EQ(channel.notes, "");
}

// A long poll's callback is often what keeps its responder.
TEST(Exchange, OutlivesACallbackThatHeldItsLastReference) {
  NotingChannel channel;
  auto exchange = NewExchange(channel);
  Exchange* const raw = exchange.get();
  raw->OnWritable([held = std::move(exchange)]() mutable {
    const auto responder = std::move(held);
    responder->Send({.body = "done"});
  });
  raw->CallOnWritable();
  EXPECT_EQ(channel.notes, "decide; complete; ");
}

TEST(Connection, StreamsAReplyInChunks) {
  std::shared_ptr<Responder> stream;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {{"content-type", "text/event-stream"}}, std::nullopt);
    stream = std::move(responder);
    return nullptr;
  });
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
              HasSubstr("transfer-encoding: chunked\r\n"));
  f.received.clear();
  stream->Write(AsBytes("0123456789abcdef"));
  stream->End();
  f.loop.RunPending();
  EXPECT_EQ(f.received, "10\r\n0123456789abcdef\r\n0\r\n\r\n");
  EXPECT_FALSE(f.closed);
}

TEST(Connection, TellsAWriterToWaitForASlowClient) {
  std::shared_ptr<Responder> stream;
  int writable = 0;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {}, std::nullopt);
    responder->OnWritable([&] { ++writable; });
    stream = std::move(responder);
    return nullptr;
  });
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  f.client->PauseReading();
  EXPECT_FALSE(stream->slow());
  const Bytes piece(64 << 10, 'x');
  for (int i = 0; i < 5; ++i) stream->Write(piece);
  f.loop.RunPending();
  EXPECT_TRUE(stream->slow());
  EXPECT_EQ(writable, 0);
  f.client->ResumeReading();
  f.loop.RunPending();
  EXPECT_FALSE(stream->slow());
  EXPECT_EQ(writable, 1);
}

TEST(Connection, CutsAWriterThatNeverWaits) {
  std::shared_ptr<Responder> stream;
  bool told = false;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {}, std::nullopt);
    responder->OnGone([&] { told = true; });
    stream = std::move(responder);
    return nullptr;
  });
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  f.client->PauseReading();
  const Bytes piece(1 << 20, 'x');
  for (int i = 0; i < 100 && !stream->gone(); ++i) stream->Write(piece);
  EXPECT_TRUE(stream->gone());
  f.loop.RunPending();
  EXPECT_TRUE(told);
  EXPECT_TRUE(f.closed);
}

TEST(Connection, TellsALongPollThatItsClientHasGone) {
  std::shared_ptr<Responder> poll;
  int gone = 0;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->OnGone([&] { ++gone; });
    poll = std::move(responder);
    return nullptr;
  });
  f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(poll->gone());
  f.client->Shutdown();
  f.loop.RunPending();
  EXPECT_TRUE(poll->gone());
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(f.closed);
  poll->Send({.body = "too late"});  // harmless
}

TEST(Connection, Answers500WhenAHandlerForgetsToReply) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder>) { return nullptr; });
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 500"));
}

// Half a file must not look like a whole one.
TEST(Connection, CutsTheConnectionWhenAReplyFallsShortOfItsLength) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {}, 10);
    responder->Write(AsBytes("abc"));
    responder->End();
    return nullptr;
  });
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), EndsWith("abc"));
  EXPECT_TRUE(f.closed);
}

}  // namespace
}  // namespace fallow::http
