// A whole connection fed hostile bytes in hostile pieces. It must not crash or hang, and what it
// answers must be HTTP.
//
// The first byte chooses the size of the pieces; time passes now and then, so that timeouts meet
// every state.

#include <cstdlib>
#include <string>

#include "coordinator/http/server.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_stream.h"

namespace {

using namespace fallow;
using namespace std::chrono_literals;

struct EchoSink : http::BodySink {
  explicit EchoSink(std::shared_ptr<http::Responder> to) : responder(std::move(to)) {}
  void OnData(ByteView bytes) override {
    size += bytes.size();
    if (!bytes.empty() && bytes[0] == 'R')
      responder->Send({.status = 400});  // refuse in the middle
  }
  void OnEnd() override { responder->Send({.body = std::to_string(size)}); }
  std::shared_ptr<http::Responder> responder;
  std::size_t size = 0;
};

struct Waiting {
  std::vector<std::shared_ptr<http::Responder>> polls;
};

std::unique_ptr<http::BodySink> Handle(Waiting& waiting, const http::RequestHead& head,
                                       std::shared_ptr<http::Responder> responder) {
  const char kind = head.path.size() > 1 ? head.path[1] : ' ';
  switch (kind) {
    case 'n':
      return nullptr;  // no answer at all
    case 'r':
      responder->Send({.status = 401});
      return nullptr;
    case 's':
      responder->Start(200, {}, std::nullopt);
      responder->Write(AsBytes(head.query));
      responder->End();
      return nullptr;
    case 'f':
      responder->Start(200, {{"x-query", head.query}}, 3);
      responder->Write(AsBytes("abc"));
      responder->End();
      return nullptr;
    case 'p':
      waiting.polls.push_back(std::move(responder));
      return nullptr;
    case 'c':
      return http::CollectBody(16, responder,
                               [responder](std::string) { responder->Send({.status = 204}); });
    default:
      return std::make_unique<EchoSink>(std::move(responder));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  ByteView input(data + 1, size - 1);

  SimulatedClock clock;
  FakeLoop loop(clock);
  Waiting waiting;
  std::string received;
  auto [server_end, client] = FakeStream::MakePair(loop);
  client->SetHandler({.on_data = [&](ByteView bytes) { received += AsText(bytes); },
                      .on_end = nullptr,
                      .on_writable = nullptr});
  std::unique_ptr<http::Connection> connection = http::ServeConnection(
      loop, std::move(server_end),
      [&](const http::RequestHead& head, std::shared_ptr<http::Responder> responder) {
        return Handle(waiting, head, std::move(responder));
      },
      {.head_bytes = 2048, .body_bytes = 4096}, [&] { connection = nullptr; });

  for (int turn = 0; !input.empty(); ++turn) {
    const ByteView now = input.first(std::min(piece, input.size()));
    input = input.subspan(now.size());
    client->Write(Bytes(now.begin(), now.end()));
    loop.RunPending();
    if (turn % 64 == 63) loop.Advance(3s);
    if (!waiting.polls.empty() && turn % 3 == 2) {
      const auto poll = waiting.polls.back();
      waiting.polls.pop_back();
      poll->Send({.body = "late"});
    }
  }
  loop.RunPending();
  loop.Advance(100s);
  waiting.polls.clear();
  loop.Advance(100s);
  if (!received.empty() && !received.starts_with("HTTP/1.1 ")) std::abort();
  // Nothing keeps a silent connection alive but a handler that owes an answer, and there is none
  // now.
  if (connection != nullptr) std::abort();
  return 0;
}
