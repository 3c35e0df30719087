#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "platform/fake/fake_http_client.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_presence_source.h"
#include "platform/fake/fake_stream.h"
#include "platform/fake/fake_subprocess.h"
#include "platform/fake/seeded_random.h"

namespace fallow {
namespace {

Bytes ToBytes(std::string_view text) {
  return {AsBytes(text).begin(), AsBytes(text).end()};
}

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
};

// What one end of a stream saw.
struct Seen {
  std::string data;
  int ends = 0;
  Status end;
  int writable = 0;

  StreamHandler Handler() {
    return {.on_data = [this](ByteView bytes) { data += AsText(bytes); },
            .on_end =
                [this](const Status& status) {
                  ++ends;
                  end = status;
                },
            .on_writable = [this] { ++writable; }};
  }
};

TEST(FakeStream, CarriesBytesBothWaysAndACleanEnd) {
  Fixture f;
  auto [left, right] = FakeStream::MakePair(f.loop);
  Seen at_left;
  Seen at_right;
  left->SetHandler(at_left.Handler());
  right->SetHandler(at_right.Handler());
  left->Write(ToBytes("ping"));
  right->Write(ToBytes("pong"));
  left->Shutdown();
  EXPECT_EQ(at_right.data, "") << "nothing may arrive from inside a call";
  f.loop.RunPending();
  EXPECT_EQ(at_right.data, "ping");
  EXPECT_EQ(at_left.data, "pong");
  EXPECT_EQ(at_right.ends, 1);
  EXPECT_TRUE(at_right.end.has_value());
  EXPECT_EQ(at_left.ends, 0);
}

TEST(FakeStream, HoldsBytesBackFromAPausedReaderAndTellsTheWriter) {
  Fixture f;
  auto [writer, reader] = FakeStream::MakePair(f.loop);
  Seen at_writer;
  Seen at_reader;
  writer->SetHandler(at_writer.Handler());
  reader->SetHandler(at_reader.Handler());
  reader->PauseReading();
  writer->Write(Bytes(kStreamHighWaterBytes / 2));
  writer->Write(Bytes(kStreamHighWaterBytes / 2));
  f.loop.RunPending();
  EXPECT_EQ(writer->pending_write_bytes(), kStreamHighWaterBytes);
  EXPECT_EQ(at_writer.writable, 0);
  reader->ResumeReading();
  f.loop.RunPending();
  EXPECT_EQ(at_reader.data.size(), kStreamHighWaterBytes);
  EXPECT_EQ(at_writer.writable, 1);
}

TEST(FakeStream, DestructionEndsThePeerWithAnError) {
  Fixture f;
  auto [left, right] = FakeStream::MakePair(f.loop);
  Seen at_right;
  right->SetHandler(at_right.Handler());
  left = nullptr;
  f.loop.RunPending();
  EXPECT_EQ(at_right.ends, 1);
  ASSERT_FALSE(at_right.end.has_value());
  EXPECT_EQ(at_right.end.error().code, ErrorCode::kUnavailable);
}

TEST(FakeSubprocess, PlaysAChildByHand) {
  FakeSubprocessLauncher launcher;
  std::string output;
  int exit_code = -2;
  SubprocessOptions options;
  options.arguments = {"/bin/worker", "--fast"};
  options.on_output = [&](ByteView bytes) { output += AsText(bytes); };
  options.on_exit = [&](SubprocessExit exit) { exit_code = exit.code; };
  auto process = launcher.Launch(std::move(options));
  ASSERT_TRUE(process.has_value());
  (*process)->Write(ToBytes("work"));
  FakeChild& child = launcher.last();
  EXPECT_EQ(AsText(child.input), "work");
  child.Output(AsBytes("done"));
  child.Exit({.code = 3});
  EXPECT_EQ(output, "done");
  EXPECT_EQ(exit_code, 3);
}

TEST(FakeSubprocess, DestructionKillsAndSilences) {
  FakeSubprocessLauncher launcher;
  int calls = 0;
  SubprocessOptions options;
  options.arguments = {"/bin/worker"};
  options.on_exit = [&](SubprocessExit) { ++calls; };
  { const auto process = launcher.Launch(std::move(options)); }
  EXPECT_TRUE(launcher.last().killed);
  launcher.last().Exit({.code = -1, .signal = 9});
  EXPECT_EQ(calls, 0);
}

TEST(FakeSubprocess, FailsToLaunchWhenToldTo) {
  FakeSubprocessLauncher launcher;
  launcher.launch_error = Error{ErrorCode::kNotFound, "no such program"};
  SubprocessOptions options;
  options.arguments = {"/bin/worker"};
  const auto process = launcher.Launch(std::move(options));
  ASSERT_FALSE(process.has_value());
  EXPECT_EQ(process.error().code, ErrorCode::kNotFound);
}

TEST(FakeHttpClient, AnswersByTheTestsFunction) {
  Fixture f;
  FakeHttpClient client(f.loop, [](const std::shared_ptr<FakeCall>& call) {
    call->Answer(200, "hello " + call->request().url);
  });
  std::string body;
  const auto exchange = client.Send(
      {.url = "https://a/b"}, [&](const Result<HttpReply>& reply) { body = AsText(reply->body); });
  EXPECT_EQ(body, "");
  f.loop.RunPending();
  EXPECT_EQ(body, "hello https://a/b");
}

TEST(FakeHttpClient, StreamsPiecesAndHonoursRefusal) {
  Fixture f;
  FakeHttpClient client(f.loop);
  std::string body;
  Result<HttpReply> result;
  HttpRequest request{.url = "https://a/b"};
  request.on_body = [&](ByteView piece) {
    body += AsText(piece);
    return body.size() < 6;
  };
  const auto exchange =
      client.Send(std::move(request), [&](const Result<HttpReply>& reply) { result = reply; });
  client.last().SendPiece("abc");
  client.last().SendPiece("def");
  client.last().SendPiece("ghi");
  client.last().Answer(200);
  f.loop.RunPending();
  EXPECT_EQ(body, "abcdef");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
}

TEST(FakeHttpClient, DestroyedExchangeIsNotCalled) {
  Fixture f;
  FakeHttpClient client(f.loop);
  int calls = 0;
  auto exchange = client.Send({.url = "https://a/b"}, [&](const Result<HttpReply>&) { ++calls; });
  client.last().Answer(200);
  exchange = nullptr;
  f.loop.RunPending();
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(client.last().cancelled());
}

TEST(FakePresenceSource, CannotTellUntilToldWhatToSay) {
  FakePresenceSource source("x11 :0");
  EXPECT_FALSE(source.Read().known);
  source.IdleFor(std::chrono::minutes(5));
  EXPECT_TRUE(source.Read().known);
  EXPECT_EQ(source.Read().idle_for, std::chrono::minutes(5));
  EXPECT_EQ(source.Read().source, "x11 :0");
}

TEST(SeededRandom, RepeatsForOneSeedAndDiffersForAnother) {
  SeededRandom first(7);
  SeededRandom again(7);
  SeededRandom other(8);
  const std::string bytes = first.Hex(20);
  EXPECT_EQ(bytes, again.Hex(20));
  EXPECT_NE(bytes, other.Hex(20));
  EXPECT_NE(bytes, first.Hex(20));
}

}  // namespace
}  // namespace fallow
