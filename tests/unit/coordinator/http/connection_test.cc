#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/http/server.h"
#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

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

}  // namespace
}  // namespace fallow::http
