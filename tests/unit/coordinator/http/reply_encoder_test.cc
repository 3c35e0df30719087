#include "coordinator/http/reply_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr ReplyEncoder::Client kHttp10{.knows_chunks = false};
constexpr ReplyEncoder::Client kHead{.wants_head_only = true};

std::string Text(const Bytes& bytes) {
  return std::string(AsText(bytes));
}

TEST(ReplyEncoder, WritesAWholeReply) {
  ReplyEncoder encoder({});
  EXPECT_EQ(encoder.Whole({.status = 201, .headers = {{"a", "b"}}, .body = "hello"},
                          AfterReply::kKeepAlive),
            "HTTP/1.1 201 Created\r\na: b\r\ncontent-length: 5\r\n\r\nhello");
  EXPECT_TRUE(encoder.head_made());
}

TEST(ReplyEncoder, SaysWhetherTheConnectionGoesOn) {
  EXPECT_THAT(ReplyEncoder({}).Whole({}, AfterReply::kClose), HasSubstr("connection: close\r\n"));
  EXPECT_THAT(ReplyEncoder({}).Whole({}, AfterReply::kKeepAlive), Not(HasSubstr("connection:")));
  EXPECT_THAT(ReplyEncoder(kHttp10).Whole({}, AfterReply::kKeepAlive),
              HasSubstr("connection: keep-alive\r\n"));
}

TEST(ReplyEncoder, GivesNoLengthToAStatusWithoutABody) {
  for (const int status : {204, 304}) {
    EXPECT_THAT(ReplyEncoder({}).Whole({.status = status, .headers = {}, .body = "x"},
                                       AfterReply::kKeepAlive),
                AllOf(Not(HasSubstr("content-length")), EndsWith("\r\n\r\n")));
  }
}

TEST(ReplyEncoder, TellsHeadTheLengthOfTheBodyItLeavesOut) {
  EXPECT_THAT(ReplyEncoder(kHead).Whole({.body = "hello"}, AfterReply::kKeepAlive),
              AllOf(HasSubstr("content-length: 5\r\n"), EndsWith("\r\n\r\n")));
}

TEST(ReplyEncoder, WritesABodyOfUnknownLengthInChunks) {
  ReplyEncoder encoder({});
  EXPECT_FALSE(encoder.EndsWithConnection(std::nullopt));
  EXPECT_THAT(encoder.Head(200, {}, std::nullopt, AfterReply::kKeepAlive),
              HasSubstr("transfer-encoding: chunked\r\n"));
  EXPECT_EQ(Text(encoder.Piece(AsBytes("0123456789abcdef"))), "10\r\n0123456789abcdef\r\n");
  EXPECT_EQ(encoder.Last(), "0\r\n\r\n");
  EXPECT_TRUE(encoder.kept_its_length());
}

TEST(ReplyEncoder, EndsABodyOfUnknownLengthWithTheConnectionOfAnOldClient) {
  ReplyEncoder encoder(kHttp10);
  EXPECT_TRUE(encoder.EndsWithConnection(std::nullopt));
  EXPECT_FALSE(encoder.EndsWithConnection(3));
  EXPECT_THAT(encoder.Head(200, {}, std::nullopt, AfterReply::kClose), Not(HasSubstr("chunked")));
  EXPECT_EQ(Text(encoder.Piece(AsBytes("abc"))), "abc");
  EXPECT_EQ(encoder.Last(), "");
}

TEST(ReplyEncoder, KnowsWhetherABodyKeptItsLength) {
  ReplyEncoder encoder({});
  EXPECT_THAT(encoder.Head(200, {}, 4, AfterReply::kKeepAlive), HasSubstr("content-length: 4\r\n"));
  EXPECT_EQ(Text(encoder.Piece(AsBytes("abc"))), "abc");
  EXPECT_FALSE(encoder.kept_its_length());
  encoder.Piece(AsBytes("d"));
  EXPECT_TRUE(encoder.kept_its_length());
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

// What a user names a file must not become a header.
TEST(Connection, EndsAHeaderValueAtALineBreak) {
  Fixture f([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Send({.headers = {{"x-name", "a\r\nset-cookie: b"}}});
    return nullptr;
  });
  EXPECT_THAT(f.Say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
              AllOf(HasSubstr("x-name: a\r\n"), Not(HasSubstr("set-cookie"))));
}

}  // namespace
}  // namespace fallow::http
