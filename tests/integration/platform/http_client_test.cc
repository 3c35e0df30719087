#include "platform/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "platform/paths.h"
#include "platform/system.h"
#include "tests/integration/platform/run_loop.h"
#include "tests/integration/platform/small_https_server.h"
#include "tests/integration/platform/tls_client.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using fallow::testing::ConnectTcp;
using fallow::testing::MakeTestAuthority;
using fallow::testing::RunFor;
using fallow::testing::RunUntil;
using fallow::testing::SmallHttpsServer;
using fallow::testing::SmallReply;
using fallow::testing::SmallRequest;
using fallow::testing::TemporaryFolder;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

Bytes ToBytes(std::string_view text) {
  return {AsBytes(text).begin(), AsBytes(text).end()};
}

struct Fixture {
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  CertificateAndKey authority = MakeTestAuthority();
  SmallRequest last_request;
  std::string answer = SmallReply(200, "hello");
  SmallHttpsServer server{*loop, authority, [this](const SmallRequest& request) {
                            last_request = request;
                            return answer;
                          }};
  std::unique_ptr<HttpClient> client =
      NewHttpClient(*loop, {.authority_pem = authority.certificate});
  std::unique_ptr<HttpExchange> exchange;

  Result<HttpReply> Send(HttpRequest request, milliseconds limit = std::chrono::seconds(60)) {
    std::optional<Result<HttpReply>> result;
    exchange = client->Send(std::move(request), [&](Result<HttpReply> reply) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(reply);
    });
    if (!RunUntil(
            *loop, [&] { return result.has_value(); }, limit)) {
      exchange = nullptr;
      return Fail(ErrorCode::kInternal, "the test waited in vain");
    }
    return *std::move(result);
  }
};

TEST(HttpClient, GetsAReplyWithStatusHeadersAndBody) {
  Fixture f;
  f.answer = SmallReply(404, "nothing here", "X-Thing: one, two \r\n");
  const auto reply = f.Send({.url = f.server.Url("/a?b=c"), .headers = {{"X-Mine", "yes"}}});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->status, 404);
  EXPECT_EQ(AsText(reply->body), "nothing here");
  EXPECT_THAT(reply->headers, ::testing::Contains(::testing::Pair("x-thing", "one, two")));
  EXPECT_THAT(f.last_request.head, ::testing::StartsWith("GET /a?b=c HTTP/1.1\r\n"));
  EXPECT_THAT(f.last_request.head, HasSubstr("X-Mine: yes\r\n"));
  EXPECT_THAT(f.last_request.head, HasSubstr("User-Agent: fallow\r\n"));
}

TEST(HttpClient, PostsABodyOnAKeptConnection) {
  Fixture f;
  const std::string body(3 << 20, 'b');
  for (int i = 0; i < 3; ++i) {
    const auto reply = f.Send({.method = "POST", .url = f.server.Url("/p"), .body = ToBytes(body)});
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_TRUE(f.last_request.body == body);
    EXPECT_THAT(f.last_request.head, Not(HasSubstr("Expect:")));
    EXPECT_THAT(f.last_request.head, Not(HasSubstr("Content-Type:")));
  }
  EXPECT_EQ(f.server.connections(), 1);
}

TEST(HttpClient, SendsTheMethodsOfTheInterface) {
  Fixture f;
  for (const std::string method : {"POST", "PUT", "DELETE", "PATCH"}) {
    const auto reply = f.Send({.method = method, .url = f.server.Url("/m")});
    ASSERT_TRUE(reply.has_value()) << reply.error().message;
    EXPECT_THAT(f.last_request.head, ::testing::StartsWith(method + " /m HTTP/1.1"));
  }
}

TEST(HttpClient, RecoversFromAKeptConnectionThatTheServerClosed) {
  Fixture f;
  ASSERT_TRUE(f.Send({.url = f.server.Url("/1")}).has_value());
  f.server.CloseConnections();
  const auto reply =
      f.Send({.method = "POST", .url = f.server.Url("/2"), .body = ToBytes("again")});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(f.last_request.body, "again");
}

TEST(HttpClient, RefusesAnotherAuthority) {
  Fixture f;
  f.client = NewHttpClient(*f.loop, {.authority_pem = MakeTestAuthority("other").certificate});
  const auto reply = f.Send({.url = f.server.Url("/")});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied) << reply.error().message;
  EXPECT_THAT(reply.error().message, HasSubstr("127.0.0.1:" + std::to_string(f.server.port())));
  EXPECT_THAT(reply.error().message, HasSubstr("certificate"));
  EXPECT_EQ(f.last_request.head, "") << "the request must not have been sent";
}

TEST(HttpClient, RefusesAnUnknownAuthorityByDefault) {
  Fixture f;
  f.client = NewHttpClient(*f.loop, {});
  const auto reply = f.Send({.url = f.server.Url("/")});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied) << reply.error().message;
}

TEST(HttpClient, RefusesACertificateForAnotherHost) {
  Fixture f;
  SmallHttpsServer other(*f.loop, f.authority,
                         [](const SmallRequest&) { return SmallReply(200, ""); }, {"example.org"});
  const auto reply = f.Send({.url = other.Url("/")});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied) << reply.error().message;
  EXPECT_THAT(reply.error().message, HasSubstr("127.0.0.1")) << "it must say what is wrong";
}

TEST(HttpClient, RefusesAnExpiredCertificate) {
  Fixture f;
  const WallTime long_ago = NewSystemClock()->Wall() - std::chrono::days(100);
  const auto authority = MakeCertificateAuthority("old", long_ago, 3650).value();
  TlsListenOptions options;
  options.server = MakeServerCertificate(authority, {"127.0.0.1"}, long_ago, 10).value();
  const auto listener =
      ListenTls(*f.loop, options, [](std::unique_ptr<ByteStream>) { FAIL(); }).value();
  f.client = NewHttpClient(*f.loop, {.authority_pem = authority.certificate});
  const auto reply = f.Send({.url = "https://127.0.0.1:" + std::to_string(listener->port())});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kPermissionDenied);
  EXPECT_THAT(reply.error().message, HasSubstr("expired"));
}

TEST(HttpClient, TrustsAnybodyOnlyWhenTold) {
  Fixture f;
  f.client = NewHttpClient(*f.loop, {.trust_anybody = true});
  const auto reply = f.Send({.url = f.server.Url("/")});
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(AsText(reply->body), "hello");
}

TEST(HttpClient, NamesAServerThatIsNotThere) {
  Fixture f;
  // A port of ours, so that nobody else takes it, and none that is listened at.
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string target = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const auto reply = f.Send({.url = "https://" + target + "/"});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(reply.error().message, HasSubstr(target));
  close(taken);
}

TEST(HttpClient, BadRequestsAreRefusedBeforeAnythingIsSent) {
  Fixture f;
  EXPECT_EQ(f.Send({.url = "not a url"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(f.Send({.url = "file:///etc/passwd"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(f.Send({.url = f.server.Url("/"), .headers = {{"X", "a\r\nY: b"}}}).error().code,
            ErrorCode::kInvalidArgument);
  const auto missing =
      f.Send({.method = "PUT", .url = f.server.Url("/"), .body_file = "/nowhere/file"});
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("/nowhere/file"));
  EXPECT_EQ(f.server.connections(), 0);
}

TEST(HttpClient, StreamsAReplyPieceByPiece) {
  Fixture f;
  const std::string body(5 << 20, 's');
  f.answer = SmallReply(200, body);
  std::size_t pieces = 0;
  std::string seen;
  HttpRequest request{.url = f.server.Url("/stream")};
  request.max_body_bytes = 10;
  request.on_body = [&](ByteView piece) {
    ++pieces;
    seen += AsText(piece);
    return true;
  };
  const auto reply = f.Send(std::move(request));
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_TRUE(reply->body.empty());
  EXPECT_TRUE(seen == body);
  EXPECT_GT(pieces, 10u);
}

TEST(HttpClient, KeepsTheBodyOfARefusalOutOfTheStream) {
  Fixture f;
  f.answer = SmallReply(403, "not you");
  HttpRequest request{.url = f.server.Url("/stream")};
  request.on_body = [](ByteView) {
    ADD_FAILURE() << "an error's body is not the file";
    return true;
  };
  const auto reply = f.Send(std::move(request));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 403);
  EXPECT_EQ(AsText(reply->body), "not you");
}

TEST(HttpClient, ReceiverMayEndTheExchange) {
  Fixture f;
  f.answer = SmallReply(200, std::string(5 << 20, 's'));
  HttpRequest request{.url = f.server.Url("/stream")};
  request.on_body = [](ByteView) { return false; };
  const auto reply = f.Send(std::move(request));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kCancelled);
}

TEST(HttpClient, LongReplyIsRefusedByItsLimit) {
  Fixture f;
  f.answer = SmallReply(200, std::string(1001, 'x'));
  HttpRequest request{.url = f.server.Url("/")};
  request.max_body_bytes = 1000;
  const auto reply = f.Send(std::move(request));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(reply.error().message, HasSubstr("1000"));
}

TEST(HttpClient, UploadsAFileAndReportsProgress) {
  Fixture f;
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/upload.bin";
  std::string content;
  for (int i = 0; i < (3 << 20); ++i) content += static_cast<char>(i * 7 + (i >> 10));
  ASSERT_TRUE(WriteFileAtomically(path, content).has_value());
  std::uint64_t last_sent = 0;
  std::uint64_t last_total = 0;
  HttpRequest request{.method = "PUT", .url = f.server.Url("/up"), .body_file = path};
  request.on_upload_progress = [&](std::uint64_t sent, std::uint64_t total) {
    EXPECT_GE(sent, last_sent);
    last_sent = sent;
    last_total = total;
  };
  const auto reply = f.Send(std::move(request));
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_TRUE(f.last_request.body == content);
  EXPECT_THAT(f.last_request.head, HasSubstr("Content-Length: " + std::to_string(content.size())));
  EXPECT_EQ(last_sent, content.size());
  EXPECT_EQ(last_total, content.size());
}

TEST(HttpClient, UploadsPiecesAsOneBody) {
  Fixture f;
  const std::string first(1 << 20, 'a'), second(3, 'b'), third((2 << 20) + 1, 'c');
  std::uint64_t last_sent = 0;
  HttpRequest request{.method = "PUT",
                      .url = f.server.Url("/up"),
                      .body_pieces = {AsBytes(first), AsBytes(second), AsBytes(third)}};
  request.on_upload_progress = [&](std::uint64_t sent, std::uint64_t) { last_sent = sent; };
  const auto reply = f.Send(std::move(request));
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  const std::string whole = first + second + third;
  EXPECT_TRUE(f.last_request.body == whole);
  EXPECT_THAT(f.last_request.head, HasSubstr("Content-Length: " + std::to_string(whole.size())));
  EXPECT_EQ(last_sent, whole.size());
}

TEST(HttpClient, UploadsAMultipartForm) {
  Fixture f;
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/batch.jsonl";
  const std::string content(2 << 20, 'j');
  ASSERT_TRUE(WriteFileAtomically(path, content).has_value());
  std::uint64_t last_sent = 0;
  HttpRequest request{.method = "POST",
                      .url = f.server.Url("/v1/files"),
                      .body_file = path,
                      .multipart_fields = {{"purpose", "batch"}}};
  request.on_upload_progress = [&](std::uint64_t sent, std::uint64_t) { last_sent = sent; };
  const auto reply = f.Send(std::move(request));
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_THAT(f.last_request.head, HasSubstr("Content-Type: multipart/form-data; boundary="));
  EXPECT_THAT(f.last_request.body, HasSubstr("name=\"purpose\"\r\n\r\nbatch\r\n"));
  EXPECT_THAT(f.last_request.body, HasSubstr("name=\"file\"; filename=\"batch.jsonl\""));
  EXPECT_THAT(f.last_request.body, HasSubstr(content));
  EXPECT_GE(last_sent, content.size());
}

TEST(HttpClient, TimesOutAsAWhole) {
  Fixture f;
  f.answer = "";
  HttpRequest request{.url = f.server.Url("/slow")};
  request.timeout = milliseconds(150);
  const auto reply = f.Send(std::move(request));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kDeadlineExceeded) << reply.error().message;
}

TEST(HttpClient, StalledExchangeEnds) {
  Fixture f;
  f.answer = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf";
  HttpRequest request{.url = f.server.Url("/stall")};
  request.timeout = milliseconds(0);
  request.stall_timeout = milliseconds(200);
  const auto reply = f.Send(std::move(request));
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kDeadlineExceeded) << reply.error().message;
  EXPECT_THAT(reply.error().message, HasSubstr("200 ms"));
}

TEST(HttpClient, CutReplyIsAnError) {
  Fixture f;
  f.answer = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf";
  const auto cut = f.loop->Every(milliseconds(50), [&] {
    if (!f.last_request.head.empty()) f.server.CloseConnections();
  });
  const auto reply = f.Send({.url = f.server.Url("/cut")});
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable) << reply.error().message;
}

TEST(HttpClient, DestroyedExchangeIsNotCalled) {
  Fixture f;
  int calls = 0;
  const auto count = [&](const Result<HttpReply>&) { ++calls; };
  f.exchange = f.client->Send({.url = f.server.Url("/")}, count);
  f.exchange = nullptr;
  f.answer = "";
  auto started = f.client->Send({.url = f.server.Url("/")}, count);
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return !f.last_request.head.empty(); }));
  started = nullptr;
  RunFor(*f.loop, milliseconds(30));
  EXPECT_EQ(calls, 0);
}

TEST(HttpClient, MayBeDestroyedFromItsCallbacks) {
  Fixture f;
  f.answer = SmallReply(200, std::string(1 << 20, 'x'));
  HttpRequest request{.url = f.server.Url("/")};
  int pieces = 0;
  request.on_body = [&](ByteView) {
    ++pieces;
    f.exchange = nullptr;
    f.client = nullptr;
    return true;
  };
  f.exchange = f.client->Send(std::move(request), [](const Result<HttpReply>&) { FAIL(); });
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return f.client == nullptr; }));
  RunFor(*f.loop, milliseconds(30));
  EXPECT_EQ(pieces, 1);

  f.client = NewHttpClient(*f.loop, {.authority_pem = f.authority.certificate});
  f.exchange = f.client->Send({.url = f.server.Url("/")}, [&](const Result<HttpReply>&) {
    f.exchange = nullptr;
    f.client = nullptr;
  });
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return f.client == nullptr; }));
}

TEST(HttpClient, ProxyOfTheEnvironmentIsNotAskedForLoopback) {
  Fixture f;
  // Nobody listens there.
  setenv("https_proxy", "http://127.0.0.1:1", 1);
  const auto direct = f.Send({.url = f.server.Url("/")});
  EXPECT_TRUE(direct.has_value()) << direct.error().message;
  const auto proxied = f.Send({.url = "https://fallow.invalid/"});
  unsetenv("https_proxy");
  ASSERT_FALSE(proxied.has_value());
  EXPECT_EQ(proxied.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(proxied.error().message, HasSubstr("port 1 ")) << "the proxy was not asked";
}

TEST(HttpClient, ManyExchangesRunAtOnce) {
  Fixture f;
  int done = 0;
  std::vector<std::unique_ptr<HttpExchange>> exchanges;
  for (int i = 0; i < 40; ++i) {
    exchanges.push_back(f.client->Send({.url = f.server.Url("/")}, [&](const auto& reply) {
      EXPECT_TRUE(reply.has_value());
      ++done;
    }));
  }
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return done == 40; }));
}

}  // namespace
}  // namespace fallow
