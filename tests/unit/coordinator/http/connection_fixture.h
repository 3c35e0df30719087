// A connection over an in-memory stream with the client's side of it, for the tests of this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/http/server.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_loop.h"
#include "platform/fake/fake_stream.h"

namespace fallow::http {

// Replies with the body it was sent.
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

}  // namespace fallow::http
