// The real fallow-coordinator on a loopback port and a temporary data folder, spoken to by the real
// HTTP client.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "platform/http_client.h"
#include "platform/keystore.h"
#include "platform/system.h"
#include "platform/tls.h"
#include "protocol/agent_messages.h"
#include "tests/support/program.h"

namespace fallow {
namespace {

using Json = nlohmann::json;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using testing::ReadFile;
using testing::RunProgram;
using testing::TemporaryFolder;
using testing::WaitUntil;

constexpr std::chrono::seconds kPatience{60};  // against hanging alone

struct Reply {
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  Json json() const { return Json::parse(body, nullptr, false); }
};

class Running {
 public:
  explicit Running(const std::string& data_folder) : data_(data_folder), loop_(NewMainLoop()) {
    Start();
  }

  void Start() {
    std::filesystem::remove(ready_file());
    program_ = std::make_unique<Program>(
        testing::ProgramOptions{.arguments = {"fallow-coordinator", "--data-dir", data_, "--listen",
                                              "127.0.0.1:0", "--ready-file", ready_file()},
                                .log_path = data_ + ".log"});
    ASSERT_TRUE(WaitUntil(
        [&] { return std::filesystem::exists(ready_file()) || !program_->running(); }, kPatience));
    ready = Json::parse(ReadFile(ready_file()), nullptr, false);
    ASSERT_TRUE(ready.is_object()) << ReadFile(data_ + ".log");
    url = ready["url"];
    const std::string link = ready["sign_in_link"];
    const std::size_t key_begin = link.find("#key=") + 5;
    key = link.substr(key_begin, link.find('&') - key_begin);
    pin = link.substr(link.find("pin=") + 4);
    client_ = NewHttpClient(*loop_, {.authority_pem = ReadFile(ready["ca_file"])});
  }

  Result<Reply> TrySend(HttpRequest request, HttpClient* with = nullptr) {
    request.url = url + request.url;
    Result<Reply> result = Fail(ErrorCode::kInternal, "no reply");
    const auto exchange =
        (with == nullptr ? client_.get() : with)
            ->Send(std::move(request), [&](Result<HttpReply> got) {
              if (got.has_value()) {
                result = Reply{got->status, std::string(AsText(got->body)), got->headers};
              } else {
                result = std::unexpected(got.error());
              }
              loop_->Stop();
            });
    loop_->Run();
    return result;
  }
  Reply Send(HttpRequest request) {
    if (!key.empty()) request.headers.emplace_back("authorization", "Bearer " + key);
    auto reply = TrySend(std::move(request));
    EXPECT_TRUE(reply.has_value()) << reply.error().message;
    return reply.value_or(Reply{});
  }
  Reply Get(const std::string& path) { return Send({.url = path}); }
  Reply Post(const std::string& path, const Json& body) {
    const std::string text = body.dump();
    return Send({.method = "POST",
                 .url = path,
                 .headers = {{"content-type", "application/json"}},
                 .body = Bytes(text.begin(), text.end())});
  }
  Reply Upload(const std::string& file, bool chunked = false) {
    HttpRequest request{.method = "POST", .url = "/v1/files"};
    request.body_file = file;
    request.multipart_fields = {{"purpose", "batch"}};
    if (chunked) request.headers.emplace_back("transfer-encoding", "chunked");
    return Send(std::move(request));
  }
  // Creates a batch of a file and waits for a state that is not "validating".
  Json Validate(const std::string& file) {
    const std::string id = Post("/v1/batches", {{"input_file_id", file},
                                                {"endpoint", "/v1/chat/completions"},
                                                {"completion_window", "24h"}})
                               .json()
                               .value("id", "");
    Json batch;
    EXPECT_TRUE(WaitUntil(
        [&] {
          batch = Get("/v1/batches/" + id).json();
          return batch.value("status", "") != "validating";
        },
        kPatience));
    return batch;
  }

  Program& program() { return *program_; }
  Loop& loop() { return *loop_; }
  std::string ready_file() const { return data_ + ".ready.json"; }

  Json ready;
  std::string url, key, pin;

 private:
  const std::string data_;
  std::unique_ptr<MainLoop> loop_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<HttpClient> client_;
};

struct CoordinatorProgram : ::testing::Test {
  void SetUp() override { running = std::make_unique<Running>(folder.path() + "/data"); }
  std::string WriteFile(const std::string& name, const std::string& content) {
    const std::string path = folder.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::string Line(int number, const std::string& model = "none") {
    return fmt::format(R"({{"custom_id":"r{}","method":"POST","url":"/v1/chat/completions","body":)"
                       R"({{"model":"{}","messages":[{{"role":"user","content":"hi"}}]}}}})",
                       number, model) +
           "\n";
  }
  TemporaryFolder folder;
  std::unique_ptr<Running> running;
};

TEST_F(CoordinatorProgram, GivesBackAnUploadedFileByteForByte) {
  std::string content;
  for (int i = 0; i < 40'000; ++i) content += Line(i);
  const std::string path = WriteFile("batch.jsonl", content);
  for (const bool chunked : {false, true}) {
    const Reply reply = running->Upload(path, chunked);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json()["bytes"], content.size());
    const Reply back =
        running->Get("/v1/files/" + reply.json()["id"].get<std::string>() + "/content");
    EXPECT_EQ(back.status, 200);
    EXPECT_TRUE(back.body == content);
  }
}

TEST_F(CoordinatorProgram, NamesTheBrokenLineOfABatch) {
  std::string content;
  for (int i = 1; i <= 40; ++i) content += i == 17 ? "{\"custom_id\": broken\n" : Line(i);
  const Json batch =
      running->Validate(running->Upload(WriteFile("broken.jsonl", content)).json()["id"]);
  EXPECT_EQ(batch["status"], "failed");
  bool named = false;
  for (const Json& error : batch["errors"]["data"])
    named = named || (error["line"] == 17 && error["code"] == "invalid_json_line");
  EXPECT_TRUE(named) << batch["errors"];
}

TEST_F(CoordinatorProgram, NamesAnUnknownModel) {
  const Json batch =
      running->Validate(running->Upload(WriteFile("model.jsonl", Line(1))).json()["id"]);
  EXPECT_EQ(batch["status"], "failed");
  EXPECT_EQ(batch["errors"]["data"][0]["code"], "model_not_found");
}

TEST_F(CoordinatorProgram, TakesTheDemoModelAndNamesADuplicateId) {
  HttpRequest request{.method = "PUT", .url = "/api/models/normalizer"};
  request.body_file = FALLOW_SOURCE_DIR "/examples/field-normalizer/field-normalizer-q8_0.gguf";
  const Reply added = running->Send(std::move(request));
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.json()["card"]["architecture"], "llama");
  const Json good = running->Validate(
      running->Upload(WriteFile("good.jsonl", Line(1, "normalizer") + Line(2, "normalizer")))
          .json()["id"]);
  EXPECT_EQ(good["status"], "in_progress") << good;
  EXPECT_EQ(good["request_counts"]["total"], 2);
  const Json twice = running->Validate(
      running
          ->Upload(WriteFile("twice.jsonl",
                             Line(1, "normalizer") + Line(2, "normalizer") + Line(1, "normalizer")))
          .json()["id"]);
  EXPECT_EQ(twice["status"], "failed");
  EXPECT_EQ(twice["errors"]["data"][0]["code"], "duplicate_custom_id");
  EXPECT_EQ(twice["errors"]["data"][0]["line"], 3);
}

TEST_F(CoordinatorProgram, RefusesAWrongKey) {
  running->key = "sk-fallow-wrong";
  const Reply reply = running->Get("/v1/models");
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.json()["error"]["code"], "invalid_api_key");
}

TEST_F(CoordinatorProgram, ShowsItsAuthorityToWhoeverKnowsThePin) {
  const auto careless = NewHttpClient(running->loop(), {.trust_anybody = true});
  const auto authority = running->TrySend({.url = "/ca.pem"}, careless.get());
  ASSERT_TRUE(authority.has_value());
  EXPECT_EQ(CertificatePin(authority->body)->Hex(), running->pin);
  // Without the authority nobody trusts it.
  const auto stranger = NewHttpClient(running->loop(), {});
  EXPECT_EQ(running->TrySend({.url = "/healthz"}, stranger.get()).error().code,
            ErrorCode::kPermissionDenied);
}

TEST_F(CoordinatorProgram, BelievesOnlySignedAgentCalls) {
  const auto key = *LoadOrMakeSigningKey(folder.path() + "/device.key");
  EnrollRequest enroll;
  const std::string link = running->ready["join_link"];
  const std::size_t begin = link.find("#join=") + 6;
  enroll.join_token = link.substr(begin, link.find('&') - begin);
  enroll.public_key = key->public_key();
  enroll.profile.hostname = "desk";
  const Reply enrolled =
      running->Send({.method = "POST", .url = "/agent/v1/enroll", .body = Encode(enroll)});
  ASSERT_EQ(enrolled.status, 200) << enrolled.body;
  const auto device = DecodeEnrollReply(AsBytes(enrolled.body))->device;

  LeaseRequest lease;
  lease.max_request_count = 1;
  const Bytes body = Encode(lease);
  const auto call = [&](ByteView signed_body) {
    const std::int64_t now = UnixMs(NewSystemClock()->Wall());
    const std::string text = SignedText("POST", "/agent/v1/lease", now, Sha256::Of(signed_body));
    return running
        ->Send({.method = "POST",
                .url = "/agent/v1/lease",
                .headers = {{"fallow-device", device.value},
                            {"fallow-time", std::to_string(now)},
                            {"fallow-signature", ToBase64(key->Sign(AsBytes(text)))}},
                .body = body})
        .status;
  };
  EXPECT_EQ(call(body), 200);
  EXPECT_EQ(call(AsBytes("another body")), 401);
}

TEST_F(CoordinatorProgram, RefusesAFileThatIsNoModel) {
  HttpRequest request{.method = "PUT", .url = "/api/models/mine"};
  request.body_file = WriteFile("x.gguf", "GGUF" + std::string(100, '\x7f'));
  const Reply reply = running->Send(std::move(request));
  EXPECT_EQ(reply.status, 400) << reply.body;
}

TEST_F(CoordinatorProgram, LeavesADataFolderToTheOneThatHasIt) {
  const Finished second =
      RunProgram({.arguments = {"fallow-coordinator", "--data-dir", folder.path() + "/data",
                                "--listen", "127.0.0.1:0"},
                  .log_path = folder.path() + "/second.log"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(running->Get("/healthz").status, 200);
}

TEST_F(CoordinatorProgram, GreetsWithItsLinksAtTheFirstTimeItServes) {
  const std::string data = folder.path() + "/other", log = folder.path() + "/other.log";
  const std::string taken = running->url.substr(std::string("https://").size());
  const Finished refused =
      RunProgram({.arguments = {"fallow-coordinator", "--data-dir", data, "--listen", taken},
                  .log_path = log});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(ReadFile(log), HasSubstr("--listen chooses another address or port"));

  Running other(data);
  const auto greeting = [&] {
    std::string text;
    EXPECT_TRUE(WaitUntil(
        [&] { return (text = ReadFile(data + ".log")).contains("The links again"); }, kPatience));
    return text;
  };
  EXPECT_THAT(greeting(), HasSubstr("This is its first start."));
  other.program().Terminate();
  std::filesystem::remove(data + ".log");
  other.Start();
  EXPECT_THAT(greeting(), Not(HasSubstr("first start")));
}

TEST_F(CoordinatorProgram, KeepsEverythingAcrossARestart) {
  const std::string id = running->Upload(WriteFile("kept.jsonl", Line(1))).json()["id"];
  const std::string key = running->key;
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(running->program().Terminate(), 0);
  // Our connection, which may be idle for 75 s, keeps it no longer.
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
  running->Start();
  EXPECT_EQ(running->key, key);
  EXPECT_EQ(running->Get("/v1/files/" + id + "/content").body, Line(1));
  running->program().Kill();
  running->Start();
  EXPECT_EQ(running->Get("/v1/files/" + id + "/content").body, Line(1));
}

TEST_F(CoordinatorProgram, ShowsItsLinksAndMakesKeysWhetherOrNotItRuns) {
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"fallow-coordinator"});
    arguments.insert(arguments.end(), {"--data-dir", folder.path() + "/data", "--json"});
    const Finished finished =
        RunProgram({.arguments = arguments, .log_path = folder.path() + "/command.log"});
    EXPECT_EQ(finished.exit_code, 0) << ReadFile(folder.path() + "/command.log");
    return Json::parse(finished.output, nullptr, false);
  };
  EXPECT_EQ(run({"links"})["join_link"], running->ready["join_link"]);
  running->key = run({"key", "create", "--name", "anna"})["secret"];
  EXPECT_EQ(running->Get("/api/me").json()["role"], "submitter");

  EXPECT_EQ(running->program().Terminate(), 0);
  EXPECT_EQ(run({"links"})["running"], false);
  const std::string second =
      run({"key", "create", "--name", "bob", "--role", "operator"})["secret"];
  running->Start();
  running->key = second;
  EXPECT_EQ(running->Get("/api/me").json()["role"], "operator");
}

TEST_F(CoordinatorProgram, SaysWhatIsWrongWithItsOptions) {
  const auto code = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "fallow-coordinator");
    return RunProgram({.arguments = arguments, .log_path = folder.path() + "/misuse.log"})
        .exit_code;
  };
  EXPECT_EQ(code({"--listen", "nowhere"}), 2);
  EXPECT_EQ(code({"--no-such-option"}), 2);
  EXPECT_EQ(code({"--log-level", "loud"}), 2);
  EXPECT_EQ(code({"--data-dir", "/proc/none"}), 1);
}

}  // namespace
}  // namespace fallow
