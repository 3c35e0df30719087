#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/http/server.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_stream.h"

namespace fallow::http {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct EchoSink : BodySink {
  EchoSink(std::shared_ptr<Responder> to, std::string* into)
      : responder(std::move(to)), body(into) {}
  void OnData(ByteView bytes) override { body->append(AsText(bytes)); }
  void OnEnd() override { responder->Send({.body = *body}); }
  std::shared_ptr<Responder> responder;
  std::string* body;
};

// A connection over an in-memory stream, and the client's side of it.
struct Fixture {
  explicit Fixture(Handler with = nullptr, ServerLimits limits = {}) {
    auto [server_end, client_end] = FakeStream::MakePair(loop);
    client = std::move(client_end);
    client->SetHandler({.on_data = [this](ByteView bytes) { received += AsText(bytes); },
                        .on_end = [this](Status) { client_saw_end = true; },
                        .on_writable = nullptr});
    if (!with) {
      with = [this](const RequestHead& head, std::shared_ptr<Responder> responder) {
        heads.push_back(head);
        bodies.emplace_back(std::make_unique<std::string>());
        return std::make_unique<EchoSink>(std::move(responder), bodies.back().get());
      };
    }
    connection = ServeConnection(loop, std::move(server_end), std::move(with), limits, [this] {
      closed = true;
      connection = nullptr;
    });
  }
  // Sends `text` and lets everything happen that can without time passing.
  std::string Say(std::string_view text) {
    received.clear();
    const ByteView bytes = AsBytes(text);
    client->Write(Bytes(bytes.begin(), bytes.end()));
    loop.RunPending();
    return received;
  }

  SimulatedClock clock;
  FakeLoop loop{clock};
  std::unique_ptr<FakeStream> client;
  std::vector<RequestHead> heads;
  std::vector<std::unique_ptr<std::string>> bodies;
  std::string received;
  bool client_saw_end = false;
  bool closed = false;
  std::unique_ptr<Connection> connection;
};

TEST(Connection, AnswersRequestsOneAfterAnotherOnOneConnection) {
  Fixture f;
  EXPECT_THAT(f.Say("POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("content-length: 3\r\n"),
                    EndsWith("\r\n\r\nabc")));
  EXPECT_THAT(f.Say("GET /b HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 200 OK"));
  ASSERT_EQ(f.heads.size(), 2u);
  EXPECT_EQ(f.heads[0].path, "/a");
  EXPECT_EQ(f.heads[0].query, "x=1");
  EXPECT_EQ(f.heads[0].Header("content-length"), "3");
  EXPECT_EQ(f.heads[1].method, "GET");
  EXPECT_FALSE(f.closed);
}

TEST(Connection, AnswersPipelinedRequestsInTheirOrder) {
  Fixture f;
  const std::string replies = f.Say(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthree");
  const auto one = replies.find("\r\n\r\none"), two = replies.find("\r\n\r\ntwo"),
             three = replies.find("\r\n\r\nthree");
  EXPECT_NE(one, std::string::npos);
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
  EXPECT_NE(three, std::string::npos);
}

// Pipelined requests wait while the first is answered late.
TEST(Connection, HoldsPipelinedRequestsUntilTheReplyBefore) {
  std::vector<std::shared_ptr<Responder>> waiting;
  Fixture f([&](const RequestHead&, std::shared_ptr<Responder> responder) {
    waiting.push_back(std::move(responder));
    return nullptr;
  });
  f.Say("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_EQ(waiting.size(), 1u);
  waiting[0]->Send({.body = "first"});
  f.loop.RunPending();
  ASSERT_EQ(waiting.size(), 2u);
  waiting[1]->Send({.body = "second"});
  f.loop.RunPending();
  EXPECT_THAT(f.received, EndsWith("second"));
}

TEST(Connection, TakesARequestThatArrivesByteByByte) {
  Fixture f;
  for (const char c :
       std::string("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "4;name=value\r\nabcd\r\n2\r\nef\r\n0\r\nTrailer: t\r\n\r\n")) {
    const ByteView byte(reinterpret_cast<const std::uint8_t*>(&c), 1);
    f.client->Write(Bytes(byte.begin(), byte.end()));
    f.loop.RunPending();
  }
  EXPECT_THAT(f.received, EndsWith("\r\n\r\nabcdef"));
  EXPECT_EQ(f.received.find("HTTP/1.1"), f.received.rfind("HTTP/1.1"));
}

TEST(Connection, SendsContinueOnlyWhenTheHandlerWantsTheBody) {
  Fixture wants;
  EXPECT_EQ(
      wants.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
      "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(wants.Say("ok"), EndsWith("\r\n\r\nok"));

  Fixture refuses([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Send({.status = 401});
    return nullptr;
  });
  EXPECT_THAT(
      refuses.Say(
          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
      AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("connection: close")));
  EXPECT_TRUE(refuses.client_saw_end);
}

// A client that is told no while it still sends must get its answer, and may go on with its next
// request.
TEST(Connection, ReadsAndDropsTheBodyOfARefusedRequest) {
  Fixture f([](const RequestHead& head, std::shared_ptr<Responder> responder) {
    responder->Send({.status = head.method == "POST" ? 401 : 200});
    return nullptr;
  });
  EXPECT_THAT(f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc"),
              StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(f.Say("defGET / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(Connection, LeavesTheBodyOutOfRepliesToHead) {
  Fixture f([](const RequestHead& head, std::shared_ptr<Responder> responder) {
    if (head.path == "/stream") {
      responder->Start(200, {}, 1'000);
      EXPECT_TRUE(responder->gone());
      responder->Write(AsBytes("never sent"));
      responder->End();
    } else {
      responder->Send({.body = "hello"});
    }
    return nullptr;
  });
  EXPECT_THAT(f.Say("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"),
              AllOf(HasSubstr("content-length: 5\r\n"), EndsWith("\r\n\r\n")));
  EXPECT_THAT(f.Say("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n"),
              AllOf(HasSubstr("content-length: 1000\r\n"), EndsWith("\r\n\r\n")));
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

TEST(Connection, EndsAStreamToAnHttp10ClientByClosing) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Start(200, {}, std::nullopt);
    responder->Write(AsBytes("abc"));
    responder->End();
    return nullptr;
  });
  EXPECT_THAT(
      f.Say("GET / HTTP/1.0\r\n\r\n"),
      AllOf(HasSubstr("connection: close"), Not(HasSubstr("chunked")), EndsWith("\r\n\r\nabc")));
  EXPECT_TRUE(f.client_saw_end);
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

TEST(Connection, DropsTheSinkWhenTheClientLeavesMidBody) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  f.client->Break();
  f.loop.RunPending();
  EXPECT_TRUE(f.closed);
  EXPECT_EQ(*f.bodies.at(0), "abc");
  EXPECT_EQ(f.received, "");
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

TEST(Connection, RefusesABodyBeyondItsLimit) {
  Fixture known(nullptr, {.body_bytes = 4});
  EXPECT_THAT(known.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  Fixture chunked(nullptr, {.body_bytes = 4});
  EXPECT_THAT(chunked.Say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST(Connection, RefusesAHeadBeyondItsLimit) {
  Fixture f;
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40 << 10, 'x')),
              StartsWith("HTTP/1.1 431"));
  Fixture many;
  std::string lines;
  for (int i = 0; i < 4000; ++i) lines += "X: yyyyyy\r\n";
  std::string reply = many.Say("GET / HTTP/1.1\r\nHost: h\r\n");
  for (std::size_t at = 0; at < lines.size() && reply.empty(); at += 1000)
    reply = many.Say(lines.substr(at, 1000));
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 431"));
}

// What a user names a file must not become a header.
TEST(Connection, EndsAHeaderValueAtALineBreak) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Send({.headers = {{"x-name", "a\r\nset-cookie: b"}}});
    return nullptr;
  });
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
              AllOf(HasSubstr("x-name: a\r\n"), Not(HasSubstr("set-cookie"))));
}

TEST(CollectBody, GivesTheWholeBodyOrRefusesWith413) {
  std::string body;
  const auto handler = [&](const RequestHead&, std::shared_ptr<Responder> responder) {
    return CollectBody(4, responder, [&body, responder](std::string text) {
      body = std::move(text);
      responder->Send({});
    });
  };
  Fixture fits(handler);
  EXPECT_THAT(fits.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(body, "abcd");
  Fixture exceeds(handler);
  EXPECT_THAT(exceeds.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde"),
              StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(body, "abcd");
}

}  // namespace
}  // namespace fallow::http
