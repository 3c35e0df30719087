#include "coordinator/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::EndsWith;
using testing::StartsWith;

using Kind = RequestParser::Kind;

TEST(RequestReader, ReadsRequestsOneAfterAnother) {
  RequestReader reader(1'000);
  reader.Append(AsBytes("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /b "));
  EXPECT_EQ(reader.Next().kind, Kind::kHead);
  EXPECT_EQ(reader.request()->head().path, "/a");
  EXPECT_EQ(reader.Next().body, "abc");
  EXPECT_EQ(reader.Next().kind, Kind::kEnd);
  EXPECT_EQ(reader.waiting_bytes(), 7u);  // of the next, which nobody has asked for

  reader.NextRequest();
  EXPECT_EQ(reader.request(), nullptr);
  EXPECT_EQ(reader.Next().kind, Kind::kNeedMore);
  reader.Compact();
  reader.Append(AsBytes("HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(reader.Next().kind, Kind::kHead);
  EXPECT_EQ(reader.request()->head().path, "/b");
}

TEST(RequestReader, SkipsEmptyLinesBeforeARequest) {
  RequestReader reader(1'000);
  reader.Append(AsBytes("\r\n\r\n"));
  EXPECT_EQ(reader.Next().kind, Kind::kNeedMore);
  EXPECT_FALSE(reader.begun());
  reader.Append(AsBytes("\r"));  // half an empty line, or half a bad request
  EXPECT_EQ(reader.Next().kind, Kind::kNeedMore);
  EXPECT_TRUE(reader.begun());
  reader.Append(AsBytes("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(reader.Next().kind, Kind::kHead);
}

// Who takes a piece may end the connection by it, and look at the piece afterwards.
TEST(RequestReader, KeepsAPieceUntilCompacted) {
  RequestReader reader(1'000);
  reader.Append(AsBytes("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
  ASSERT_EQ(reader.Next().kind, Kind::kHead);
  const std::string_view piece = reader.Next().body;
  reader.Drop();
  EXPECT_EQ(piece, "abc");
  EXPECT_FALSE(reader.begun());
  reader.Compact();
  EXPECT_EQ(reader.waiting_bytes(), 0u);
}

// Pipelined requests wait while the first is answered late.
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

}  // namespace
}  // namespace fallow::http
