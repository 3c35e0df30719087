// The whole API over real services on a memory store, and clients that talk HTTP to it through
// memory.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "coordinator/api/api.h"
#include "coordinator/http/server.h"
#include "platform/fake/fake_stream.h"
#include "platform/keystore.h"
#include "protocol/agent_messages.h"
#include "tests/support/program.h"
#include "tests/unit/coordinator/coordinator_world.h"

namespace fallow::api {

using Json = nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Reply {
  int status = 0;
  std::string head;  // lower-case header names, as the server writes them
  std::string body;  // without its chunks' framing

  Json json() const { return Json::parse(body, nullptr, false); }
  std::string Header(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

// One connection to the API.
class Client {
 public:
  Client(FakeLoop& loop, Api& api) : loop_(loop) {
    auto [server_end, client_end] = FakeStream::MakePair(loop);
    stream_ = std::move(client_end);
    stream_->SetHandler({.on_data = [this](ByteView bytes) { received_ += AsText(bytes); },
                         .on_end = nullptr,
                         .on_writable = nullptr});
    connection_ = http::ServeConnection(
        loop, std::move(server_end),
        [&api](const http::RequestHead& head, std::shared_ptr<http::Responder> responder) {
          return api.Handle(head, std::move(responder));
        },
        {}, [this] { connection_ = nullptr; });
  }

  void Send(const std::string& method, const std::string& path, const Headers& headers,
            std::string_view body) {
    std::string text = fmt::format("{} {} HTTP/1.1\r\nhost: test\r\n", method, path);
    for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
    if (!body.empty() || method == "POST" || method == "PUT")
      text += fmt::format("content-length: {}\r\n", body.size());
    text += "\r\n";
    text += body;
    stream_->Write(Bytes(text.begin(), text.end()));
    loop_.RunPending();
  }
  Reply Ask(const std::string& method, const std::string& path, const Headers& headers = {},
            std::string_view body = "") {
    received_.clear();
    Send(method, path, headers, body);
    return Take();
  }
  // What has come of a reply; status 0 if nothing has.
  Reply Take() {
    Reply reply;
    const std::size_t end = received_.find("\r\n\r\n");
    if (end == std::string::npos) return reply;
    reply.head = received_.substr(0, end + 2);
    reply.status = std::stoi(reply.head.substr(9, 3));
    std::string rest = received_.substr(end + 4);
    if (reply.Header("transfer-encoding") != "chunked") {
      reply.body = rest;
      return reply;
    }
    while (!rest.empty()) {
      const std::size_t line = rest.find("\r\n");
      const std::size_t size = std::stoul(rest.substr(0, line), nullptr, 16);
      reply.body += rest.substr(line + 2, size);
      rest.erase(0, line + 2 + size + 2);
    }
    return reply;
  }
  void Leave() {
    stream_ = nullptr;
    loop_.RunPending();
  }
  FakeStream& stream() { return *stream_; }

 private:
  FakeLoop& loop_;
  std::unique_ptr<FakeStream> stream_;
  std::string received_;
  std::unique_ptr<http::Connection> connection_;
};

struct ApiWorld : CoordinatorWorld {
  ApiWorld() {
    Start();
    AddModel();
    api = NewApi(loop, clock, random, *coordinator,
                 {.version = "1.2.3",
                  .url = "https://test:1",
                  .authority_pem = "PEM",
                  .pin = "ab",
                  .dashboard = dashboard});
    alice = MakeKey(kAlice, Role::kSubmitter);
    bob = MakeKey(kBob, Role::kSubmitter);
    admin = MakeKey(AccountId("acct_admin"), Role::kOperator);
    client = std::make_unique<Client>(loop, *api);
  }

  std::string MakeKey(const AccountId& account, Role role) {
    return coordinator->keys().Create(account, role, "key")->secret;
  }
  static Headers Bearer(const std::string& secret) {
    return {{"authorization", "Bearer " + secret}};
  }
  static Headers JsonBearer(const std::string& secret) {
    return {{"authorization", "Bearer " + secret}, {"content-type", "application/json"}};
  }

  // Time passes; connections may have ended by it, so there is a new one.
  void Pass(std::chrono::milliseconds time) {
    loop.Advance(time);
    client = std::make_unique<Client>(loop, *api);
  }

  Reply UploadForm(const std::string& secret, const std::string& content,
                   const std::string& purpose = "batch") {
    Headers headers = Bearer(secret);
    headers.emplace_back("content-type", "multipart/form-data; boundary=XX");
    return client->Ask(
        "POST", "/v1/files", headers,
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n" +
            content + "\r\n--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" +
            purpose + "\r\n--XX--\r\n");
  }
  Reply CreateBatch(const std::string& secret, const std::string& file) {
    return client->Ask("POST", "/v1/batches", JsonBearer(secret),
                       Json{{"input_file_id", file},
                            {"endpoint", "/v1/chat/completions"},
                            {"completion_window", "24h"}}
                           .dump());
  }

  inline static const std::vector<StaticFile> dashboard = {
      {"/assets/page-1.js", "script", "text/javascript; charset=utf-8"},
      {"/index.html", "<html>page</html>", "text/html; charset=utf-8"}};
  std::unique_ptr<Api> api;
  std::string alice, bob, admin;
  std::unique_ptr<Client> client;
};

// A device with a real key that signs its calls.
struct SigningDevice {
  explicit SigningDevice(ApiWorld& in) : world(in) {
    key = *LoadOrMakeSigningKey(folder.path() + "/device.key");
    EnrollRequest request;
    request.join_token = *world.coordinator->devices().JoinToken();
    request.public_key = key->public_key();
    request.profile.hostname = "desk";
    const Bytes body = Encode(request);
    const Reply reply = world.client->Ask("POST", "/agent/v1/enroll", {}, AsText(body));
    EXPECT_EQ(reply.status, 200) << reply.body;
    id = DecodeEnrollReply(AsBytes(reply.body)).value_or(EnrollReply{}).device;
  }
  Headers Sign(const std::string& method, const std::string& path, std::string_view body) const {
    const std::int64_t now = UnixMs(world.clock.Wall()) + clock_error_ms;
    const std::string text = SignedText(method, path, now, Sha256::Of(body));
    return {{"fallow-device", id.value},
            {"fallow-time", std::to_string(now)},
            {"fallow-signature", ToBase64(key->Sign(AsBytes(text)))}};
  }
  Reply Ask(const std::string& method, const std::string& path, const Bytes& body = {},
            Headers more = {}) {
    for (auto& header : Sign(method, path, AsText(body))) more.push_back(std::move(header));
    return world.client->Ask(method, path, more, AsText(body));
  }

  ApiWorld& world;
  testing::TemporaryFolder folder;
  std::unique_ptr<SigningKey> key;
  DeviceId id;
  std::int64_t clock_error_ms = 0;
};

}  // namespace fallow::api
