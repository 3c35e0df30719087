#include "coordinator/http/request_parser.h"

#include <gtest/gtest.h>

namespace fallow::http {
namespace {

// The status with which a request is refused; 0 if it is taken.
int Refusal(std::string_view text) {
  RequestParser parser(32 << 10);
  for (;;) {
    RequestParser::Step step = parser.Next(text);
    if (step.kind == RequestParser::Kind::kBad) return step.status;
    if (step.kind == RequestParser::Kind::kEnd) return 0;
    if (step.kind == RequestParser::Kind::kNeedMore) {
      ADD_FAILURE() << "the parser wants more";
      return -1;
    }
    text.remove_prefix(step.consumed);
  }
}

TEST(RequestParser, RefusesWhatCouldSmuggleASecondRequest) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(Refusal(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(Refusal(head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(Refusal(head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length: 3, 3\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length: +3\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length: 0x3\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length: 99999999999999999999\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length : 3\r\n\r\nabc"), 400);
  EXPECT_EQ(Refusal(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
  EXPECT_EQ(Refusal(head + "Transfer-Encoding: identity\r\n\r\n"), 501);
  EXPECT_EQ(
      Refusal(head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      400);
  EXPECT_EQ(Refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(Refusal(head + "Content-Length: 3\nX: y\r\n\r\nabc"), 400);
}

TEST(RequestParser, RefusesBrokenRequestsByTheirFault) {
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\n\r\n"), 400);  // no Host
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(Refusal("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(Refusal("GET relative HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(Refusal("G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(Refusal("GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n"), 417);
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            400);
  EXPECT_EQ(
      Refusal(
          "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n"),
      400);
  EXPECT_EQ(Refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                    std::string(20'000, 'x')),
            400);
}

TEST(RequestParser, ReadsTheAbsoluteFormOfATarget) {
  RequestParser parser(1 << 10);
  const auto step = parser.Next("GET http://host:80/a/b?c=d#e HTTP/1.1\r\nHost: host\r\n\r\n");
  ASSERT_EQ(step.kind, RequestParser::Kind::kHead);
  EXPECT_EQ(parser.head().path, "/a/b");
  EXPECT_EQ(parser.head().query, "c=d");
}

TEST(RequestParser, LeavesTheNextRequestAlone) {
  RequestParser parser(1 << 10);
  std::string_view input = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET";
  auto step = parser.Next(input);
  ASSERT_EQ(step.kind, RequestParser::Kind::kHead);
  EXPECT_EQ(parser.content_length(), 2u);
  input.remove_prefix(step.consumed);
  step = parser.Next(input);
  ASSERT_EQ(step.kind, RequestParser::Kind::kBody);
  EXPECT_EQ(step.body, "ab");
  input.remove_prefix(step.consumed);
  EXPECT_EQ(parser.Next(input).kind, RequestParser::Kind::kEnd);
  EXPECT_EQ(input, "GET");
}

}  // namespace
}  // namespace fallow::http
