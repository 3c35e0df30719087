#include "platform/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

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
using fallow::testing::TlsClient;
using std::chrono::milliseconds;

// A listener whose streams the test plays with, and a thread for the blocking client.
struct Fixture {
  std::unique_ptr<MainLoop> loop = NewMainLoop();
  CertificateAndKey authority = MakeTestAuthority();
  std::vector<std::unique_ptr<ByteStream>> streams;
  std::function<void(ByteStream&)> on_stream;
  std::unique_ptr<Listener> listener;

  explicit Fixture(std::size_t max_connections = 16) {
    TlsListenOptions options;
    options.max_connections = max_connections;
    options.server =
        MakeServerCertificate(authority, {"127.0.0.1", "localhost"}, NewSystemClock()->Wall(), 7)
            .value();
    listener = ListenTls(*loop, options, [this](std::unique_ptr<ByteStream> stream) {
                 streams.push_back(std::move(stream));
                 if (on_stream) on_stream(*streams.back());
               }).value();
  }

  // Runs `client` on another thread and the loop meanwhile.
  bool RunClient(const std::function<void(TlsClient&)>& client,
                 fallow::testing::TlsClientOptions options = {}) {
    if (options.authority.empty()) options.authority = authority.certificate;
    std::atomic<bool> done = false;
    std::thread thread([&] {
      TlsClient connection(listener->port(), options);
      client(connection);
      done = true;
    });
    const bool ended = RunUntil(*loop, [&] { return done.load(); });
    if (!ended) streams.clear();
    thread.join();
    return ended;
  }
};

Bytes Pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + (i >> 12));
  return bytes;
}

TEST(Tls, TalksBothWaysAndEndsCleanly) {
  Fixture f;
  std::string received;
  std::optional<Status> end;
  f.on_stream = [&](ByteStream& stream) {
    stream.SetHandler({.on_data =
                           [&](ByteView bytes) {
                             received += AsText(bytes);
                             stream.Write(Bytes(bytes.begin(), bytes.end()));
                           },
                       .on_end =
                           [&](const Status& status) {
                             end = status;
                             stream.Shutdown();
                           },
                       .on_writable = nullptr});
  };
  std::string echoed;
  bool ended_cleanly = false;
  ASSERT_TRUE(f.RunClient([&](TlsClient& client) {
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.version(), "TLSv1.3");
    EXPECT_EQ(client.protocol(), "http/1.1");
    EXPECT_TRUE(client.Write("hello"));
    echoed = client.Read();
    client.End();
    EXPECT_EQ(client.Read(), "");
    ended_cleanly = client.EndedCleanly();
  }));
  EXPECT_EQ(received, "hello");
  EXPECT_EQ(echoed, "hello");
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->has_value());
  EXPECT_TRUE(ended_cleanly);
  EXPECT_THAT(f.streams[0]->peer(), ::testing::StartsWith("127.0.0.1:"));
}

TEST(Tls, RefusesTls12) {
  Fixture f;
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_FALSE(client.connected()); },
                          {.authority = {}, .max_version = TLS1_2_VERSION}));
  RunFor(*f.loop, milliseconds(10));
  EXPECT_TRUE(f.streams.empty());
}

TEST(Tls, RefusesPeersThatSpeakOtherProtocolsOnly) {
  Fixture f;
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_FALSE(client.connected()); },
                          {.authority = {}, .protocols = std::string_view("\x02h2")}));
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_EQ(client.protocol(), "http/1.1"); },
                          {.authority = {}, .protocols = std::string_view("\x02h2\x08http/1.1")}));
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_TRUE(client.connected()); },
                          {.authority = {}, .protocols = std::string_view("")}));
}

TEST(Tls, CertificateSatisfiesAStrictClient) {
  Fixture f;
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    ASSERT_TRUE(f.RunClient(
        [&](TlsClient& client) {
          EXPECT_TRUE(client.connected()) << host;
          EXPECT_EQ(client.verify_result(), X509_V_OK);
        },
        {.authority = {}, .host = host}));
  }
  ASSERT_TRUE(f.RunClient(
      [](TlsClient& client) { EXPECT_EQ(client.verify_result(), X509_V_ERR_HOSTNAME_MISMATCH); },
      {.authority = {}, .host = "example.org"}));
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_FALSE(client.connected()); },
                          {.authority = MakeTestAuthority().certificate}));
}

TEST(Tls, GarbageCostsOnlyItsOwnConnection) {
  Fixture f;
  const int socket = ConnectTcp(f.listener->port());
  const std::string garbage = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(write(socket, garbage.data(), garbage.size()), static_cast<ssize_t>(garbage.size()));
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_TRUE(client.connected()); }));
  // The server has hung up, perhaps after an alert.
  char buffer[64];
  while (read(socket, buffer, sizeof(buffer)) > 0) {
  }
  close(socket);
  EXPECT_EQ(f.streams.size(), 1u);
}

TEST(Tls, SlowHandshakeIsDropped) {
  Fixture f;
  const auto start = std::chrono::steady_clock::now();
  const int socket = ConnectTcp(f.listener->port());
  char byte;
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return recv(socket, &byte, 1, MSG_DONTWAIT) == 0; }))
      << "still connected";
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(9'900)) << "dropped too early";
  close(socket);
}

TEST(Tls, ConnectionsBeyondTheCapAreClosedAtOnce) {
  Fixture f(1);
  std::atomic<bool> done = false;
  std::atomic<bool> first_connected = false;
  std::thread thread([&] {
    TlsClient first(f.listener->port(), {.authority = f.authority.certificate});
    first_connected = first.connected();
    const TlsClient second(f.listener->port(), {.authority = f.authority.certificate});
    EXPECT_FALSE(second.connected());
    done = true;
  });
  EXPECT_TRUE(RunUntil(*f.loop, [&] { return done.load(); }));
  thread.join();
  EXPECT_TRUE(first_connected);
  f.streams.clear();
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_TRUE(client.connected()); }))
      << "a closed connection must free its place";
}

TEST(Tls, ManyMegabytesArriveWholeAndABusyReaderHoldsTheSenderBack) {
  Fixture f;
  const Bytes sent = Pattern(8 << 20);
  Bytes received;
  bool paused_once = false;
  std::size_t received_while_paused = 0;
  std::unique_ptr<Timer> resume;
  f.on_stream = [&](ByteStream& stream) {
    stream.SetHandler(
        {.on_data =
             [&](ByteView bytes) {
               EXPECT_FALSE(resume != nullptr && received.size() > received_while_paused)
                   << "data while paused";
               received.insert(received.end(), bytes.begin(), bytes.end());
               if (paused_once || received.size() < (1 << 20)) return;
               paused_once = true;
               received_while_paused = received.size();
               stream.PauseReading();
               resume = f.loop->After(milliseconds(200), [&] {
                 EXPECT_EQ(received.size(), received_while_paused);
                 resume = nullptr;
                 stream.ResumeReading();
               });
             },
         .on_end = [&](const Status&) { stream.Shutdown(); },
         .on_writable = nullptr});
  };
  ASSERT_TRUE(f.RunClient([&](TlsClient& client) {
    EXPECT_TRUE(client.Write(AsText(sent)));
    client.End();
    // A client that closes with unread bytes (session tickets) would break the connection.
    EXPECT_EQ(client.Read(), "");
  }));
  EXPECT_TRUE(paused_once);
  EXPECT_TRUE(received == sent);
}

TEST(Tls, WriterStopsAtTheMarkAndGoesOnWhenWritable) {
  Fixture f;
  const Bytes data = Pattern(8 << 20);
  std::size_t offset = 0;
  std::size_t most_pending = 0;
  std::atomic<bool> stopped_at_mark = false;
  int waits = 0;
  std::function<void()> pump;
  f.on_stream = [&](ByteStream& stream) {
    pump = [&] {
      constexpr std::size_t kPiece = 64 << 10;
      while (offset < data.size() && stream.pending_write_bytes() < kStreamHighWaterBytes) {
        stream.Write(Bytes(data.begin() + static_cast<std::ptrdiff_t>(offset),
                           data.begin() + static_cast<std::ptrdiff_t>(offset + kPiece)));
        offset += kPiece;
        most_pending = std::max(most_pending, stream.pending_write_bytes());
      }
      if (offset == data.size()) return stream.Shutdown();
      stopped_at_mark = true;
    };
    stream.SetHandler({.on_data = nullptr,
                       .on_end = [](const Status&) {},
                       .on_writable =
                           [&] {
                             ++waits;
                             pump();
                           }});
    pump();
  };
  Bytes received;
  ASSERT_TRUE(f.RunClient([&](TlsClient& client) {
    EXPECT_TRUE(fallow::testing::WaitUntil([&] { return stopped_at_mark.load(); },
                                           std::chrono::seconds(30)));
    while (true) {
      const std::string piece = client.Read();
      if (piece.empty()) break;
      received.insert(received.end(), piece.begin(), piece.end());
    }
    EXPECT_TRUE(client.EndedCleanly());
  }));
  EXPECT_TRUE(received == data) << received.size();
  EXPECT_GT(waits, 0);
  EXPECT_LT(most_pending, 2 * kStreamHighWaterBytes);
}

TEST(Tls, VanishedPeerEndsWithAnError) {
  Fixture f;
  std::optional<Status> end;
  f.on_stream = [&](ByteStream& stream) {
    stream.SetHandler({.on_data = nullptr,
                       .on_end = [&](const Status& status) { end = status; },
                       .on_writable = nullptr});
  };
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_TRUE(client.connected()); }));
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return end.has_value(); }));
  ASSERT_FALSE(end->has_value()) << "an end without close_notify may be an attacker's";
  EXPECT_EQ(end->error().code, ErrorCode::kUnavailable);
}

TEST(Tls, PausedReaderLearnsThatItsPeerBroke) {
  Fixture f;
  std::optional<Status> end;
  f.on_stream = [&](ByteStream& stream) {
    stream.SetHandler({.on_data = nullptr,
                       .on_end = [&](const Status& status) { end = status; },
                       .on_writable = nullptr});
    stream.PauseReading();
    stream.Write(Bytes(16 << 20));
  };
  ASSERT_TRUE(f.RunClient([](TlsClient& client) { EXPECT_TRUE(client.connected()); }));
  ASSERT_TRUE(RunUntil(*f.loop, [&] { return end.has_value(); }));
  EXPECT_FALSE(end->has_value());
}

TEST(Tls, StreamMayBeDestroyedFromItsCallback) {
  Fixture f;
  f.on_stream = [&](ByteStream& stream) {
    stream.SetHandler({.on_data = [&](ByteView) { f.streams.clear(); },
                       .on_end = [](const Status&) { FAIL() << "called after destruction"; },
                       .on_writable = nullptr});
  };
  ASSERT_TRUE(f.RunClient([](TlsClient& client) {
    client.Write("x");
    EXPECT_EQ(client.Read(), "");
  }));
  EXPECT_TRUE(f.streams.empty());
}

TEST(Tls, TakenPortAndBadAddressAreNamed) {
  Fixture f;
  TlsListenOptions options;
  options.server =
      MakeServerCertificate(f.authority, {"localhost"}, NewSystemClock()->Wall(), 7).value();
  options.port = f.listener->port();
  const auto taken = ListenTls(*f.loop, options, [](std::unique_ptr<ByteStream>) {});
  ASSERT_FALSE(taken.has_value());
  EXPECT_EQ(taken.error().code, ErrorCode::kAlreadyExists);
  EXPECT_THAT(taken.error().message, ::testing::HasSubstr(std::to_string(options.port)));

  options.address = "localhost:80";
  const auto bad = ListenTls(*f.loop, options, [](std::unique_ptr<ByteStream>) {});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
}

TEST(Tls, ListensAtIpv6) {
  const auto loop = NewMainLoop();
  TlsListenOptions options;
  options.address = "::1";
  options.server =
      MakeServerCertificate(MakeTestAuthority(), {"::1"}, NewSystemClock()->Wall(), 7).value();
  const auto listener = ListenTls(*loop, options, [](std::unique_ptr<ByteStream>) {});
  if (!listener && listener.error().code == ErrorCode::kUnavailable) {
    GTEST_SKIP() << "no IPv6 here: " << listener.error().message;
  }
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  EXPECT_NE((*listener)->port(), 0);
}

}  // namespace
}  // namespace fallow
