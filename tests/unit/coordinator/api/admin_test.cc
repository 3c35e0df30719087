#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/api/api_world.h"
#include "tests/unit/coordinator/embedding_samples.h"

namespace fallow::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The events of a stream: their names and data.
std::vector<std::pair<std::string, nlohmann::json>> Events(const std::string& text) {
  std::vector<std::pair<std::string, nlohmann::json>> events;
  std::istringstream lines(text);
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("event: ")) name = line.substr(7);
    if (line.starts_with("data: "))
      events.emplace_back(name, nlohmann::json::parse(line.substr(6)));
  }
  return events;
}

struct SignedIn : ApiWorld {
  SignedIn() {
    const Reply reply = client->Ask("POST", "/api/session", {{"content-type", "application/json"}},
                                    nlohmann::json{{"key", admin}}.dump());
    EXPECT_EQ(reply.status, 204);
    set_cookie = reply.Header("set-cookie");
    cookie = set_cookie.substr(0, set_cookie.find(';'));
  }
  Reply As(const std::string& method, const std::string& path, Headers headers = {},
           std::string_view body = "") {
    headers.emplace_back("cookie", "other=1; " + cookie);
    return client->Ask(method, path, headers, body);
  }
  std::string set_cookie, cookie;
};

TEST(AdminApi, SignsInWithAKeyAndOutAgain) {
  SignedIn world;
  for (const char* attribute : {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"})
    EXPECT_THAT(world.set_cookie, HasSubstr(attribute));
  EXPECT_THAT(world.set_cookie, Not(HasSubstr(world.admin)));
  const auto me = world.As("GET", "/api/me").json();
  EXPECT_EQ(me["role"], "operator");
  EXPECT_EQ(me["coordinator_version"], "1.2.3");
  EXPECT_EQ(world.As("DELETE", "/api/session").status, 204);
  EXPECT_EQ(world.As("GET", "/api/me").status, 401);
}

TEST(AdminApi, RefusesAWrongKeyAtSignIn) {
  ApiWorld world;
  EXPECT_EQ(world.client
                ->Ask("POST", "/api/session", {{"content-type", "application/json"}},
                      R"({"key":"sk-no"})")
                .status,
            401);
  EXPECT_EQ(
      world.client
          ->Ask("POST", "/api/session", {{"content-type", "application/json"}}, R"({"key":7})")
          .status,
      400);
  EXPECT_EQ(
      world.client->Ask("POST", "/api/session", {{"content-type", "text/plain"}}, R"({"key":"x"})")
          .status,
      415);
}

TEST(AdminApi, EndsSessionsAfterTheirTimeAndWithTheirKey) {
  SignedIn world;
  world.Pass(11h);
  EXPECT_EQ(world.As("GET", "/api/me").status, 200);
  world.Pass(2h);
  EXPECT_EQ(world.As("GET", "/api/me").status, 401);
  SignedIn other;
  const auto key = other.As("GET", "/api/me").json()["key_id"];
  EXPECT_EQ(other.As("DELETE", "/api/keys/" + key.get<std::string>()).status, 204);
  EXPECT_EQ(other.As("GET", "/api/me").status, 401);
}

// A page of another origin makes the browser send the cookie; it cannot make the rest.
TEST(AdminApi, RefusesWritesThatAnotherSiteCouldForge) {
  SignedIn world;
  const std::string path = "/api/join/rotate";
  EXPECT_EQ(world.As("POST", path).status, 403);
  EXPECT_EQ(world.As("POST", path, {{"content-type", "text/plain"}}).status, 403);
  EXPECT_EQ(
      world.As("POST", path, {{"origin", "https://evil"}, {"content-type", "application/json"}})
          .status,
      403);
  EXPECT_EQ(
      world.As("POST", path, {{"sec-fetch-site", "same-site"}, {"origin", "https://test"}}).status,
      403);
  EXPECT_EQ(world.As("POST", path, {{"sec-fetch-site", "same-origin"}}).status, 200);
  EXPECT_EQ(world.As("POST", path, {{"origin", "https://test"}}).status, 200);
  EXPECT_EQ(world.As("POST", path, {{"content-type", "application/json"}}).status, 200);
  EXPECT_EQ(world.client->Ask("POST", path, ApiWorld::Bearer(world.admin)).status, 200);
}

TEST(AdminApi, KeepsOperatorsCallsFromSubmitters) {
  ApiWorld world;
  for (const char* path : {"/api/devices", "/api/keys", "/api/join"}) {
    EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.alice)).status, 403) << path;
    EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.admin)).status, 200) << path;
  }
  EXPECT_EQ(world.client->Ask("PUT", "/api/models/x", ApiWorld::Bearer(world.alice), "gguf").status,
            403);
  EXPECT_EQ(world.client->Ask("DELETE", "/api/models/tiny", ApiWorld::Bearer(world.alice)).status,
            403);
}

TEST(AdminApi, MakesAndRevokesKeys) {
  ApiWorld world;
  const auto made = world.client
                        ->Ask("POST", "/api/keys", ApiWorld::JsonBearer(world.admin),
                              R"({"name":"anna","role":"submitter"})")
                        .json();
  EXPECT_THAT(made["secret"].get<std::string>(), StartsWith("sk-fallow-"));
  EXPECT_EQ(world.client->Ask("GET", "/api/me", ApiWorld::Bearer(made["secret"])).json()["name"],
            "anna");
  const Reply list = world.client->Ask("GET", "/api/keys", ApiWorld::Bearer(world.admin));
  EXPECT_THAT(list.body, Not(HasSubstr(made["secret"].get<std::string>())));
  world.client->Ask("DELETE", "/api/keys/" + made["id"].get<std::string>(),
                    ApiWorld::Bearer(world.admin));
  EXPECT_EQ(world.client->Ask("GET", "/api/me", ApiWorld::Bearer(made["secret"])).status, 401);
  for (const char* bad : {R"({"role":"submitter"})", R"({"name":"x","role":"king"})",
                          R"({"name":"x","role":"submitter","account":"a"})"})
    EXPECT_EQ(world.client->Ask("POST", "/api/keys", ApiWorld::JsonBearer(world.admin), bad).status,
              400)
        << bad;
}

TEST(AdminApi, ShowsOperatorsEveryJobAndSubmittersTheirOwn) {
  ApiWorld world;
  const Job job = world.Submit(BatchText(2));
  const std::string path = "/api/jobs/" + job.id.value;
  EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.alice)).json()["id"],
            job.id.value);
  EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.admin)).json()["id"],
            job.id.value);
  EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.bob)).status, 404);
  EXPECT_EQ(world.client->Ask("GET", path + "/requests", ApiWorld::Bearer(world.bob)).status, 404);
  EXPECT_EQ(
      world.client->Ask("GET", "/api/jobs", ApiWorld::Bearer(world.bob)).json()["data"].size(), 0u);
  EXPECT_EQ(
      world.client->Ask("GET", "/api/jobs", ApiWorld::Bearer(world.admin)).json()["data"].size(),
      1u);
  EXPECT_EQ(world.client->Ask("POST", path + "/cancel", ApiWorld::Bearer(world.admin)).status, 200);
}

TEST(AdminApi, ShowsAnswersBesideTheirRequests) {
  ApiWorld world;
  const Job job = world.Submit(BatchText(3));
  const DeviceId device = world.Enroll(1);
  const auto grant = *world.Grant(device);
  world.Report(device, grant.lease, {HonestResult(grant, grant.requests[1])});
  const auto data = world.client
                        ->Ask("GET", "/api/jobs/" + job.id.value + "/requests?first=0&count=3",
                              ApiWorld::Bearer(world.alice))
                        .json()["data"];
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[0]["state"], "leased");
  EXPECT_EQ(data[0]["response"], nullptr);
  EXPECT_EQ(data[1]["custom_id"], "r1");
  EXPECT_EQ(data[1]["state"], "done");
  EXPECT_EQ(data[1]["device"], device.value);
  EXPECT_EQ(data[1]["body"]["messages"][0]["content"], "question 1");
  EXPECT_EQ(data[1]["response"]["choices"][0]["message"]["content"], "answer to question 1");
  EXPECT_EQ(world.client
                ->Ask("GET", "/api/jobs/" + job.id.value + "/requests?count=101",
                      ApiWorld::Bearer(world.alice))
                .status,
            400);
  EXPECT_EQ(world.client
                ->Ask("GET", "/api/jobs/" + job.id.value + "/requests?first=-1",
                      ApiWorld::Bearer(world.alice))
                .status,
            400);
}

TEST(AdminApi, ShowsHowFastADeviceIsGivenBackEvenWhileItIsOffline) {
  ApiWorld world;
  const DeviceId device = world.Enroll(1);
  const auto yields = [&] {
    const auto reply = world.client->Ask("GET", "/api/devices", ApiWorld::Bearer(world.admin));
    return reply.json()["data"][0]["yields"];
  };
  EXPECT_TRUE(yields().is_null());
  DeviceStatus status{.state = DeviceState::kInUse, .reason = "a key was pressed"};
  status.yields = YieldFigures{.count = 214, .p50_ms = 8.25, .p99_ms = 31.5};
  ASSERT_TRUE(world.coordinator->devices().SetStatus(device, status).has_value());
  const nlohmann::json figures = {{"count", 214}, {"p50_ms", 8.25}, {"p99_ms", 31.5}};
  EXPECT_EQ(yields(), figures);
  world.Pass(91s);
  EXPECT_EQ(yields(), figures);
}

TEST(AdminApi, ShowsDevicesAndCallsSilentOnesOffline) {
  ApiWorld world;
  world.Enroll(1);
  const auto devices = [&] {
    return world.client->Ask("GET", "/api/devices", ApiWorld::Bearer(world.admin)).json()["data"];
  };
  EXPECT_EQ(devices()[0]["hostname"], "host1");
  EXPECT_EQ(devices()[0]["state"], "paused");
  EXPECT_EQ(devices()[0]["reason"], "it has joined; its agent has not run yet");
  EXPECT_EQ(devices()[0]["backend"], nullptr) << "its worker has not opened one";
  world.Pass(91s);
  EXPECT_EQ(devices()[0]["state"], "offline");
  EXPECT_EQ(world.client
                ->Ask("DELETE", "/api/devices/" + devices()[0]["id"].get<std::string>(),
                      ApiWorld::Bearer(world.admin))
                .status,
            204);
  EXPECT_EQ(devices().size(), 0u);
}

TEST(AdminApi, RefusesAModelNameThatCouldNotBeWritten) {
  ApiWorld world;
  for (const std::string& name : std::vector<std::string>{"a%20b", "a%22", "-a", "a@b",
                                                          std::string(129, 'x'), "%F0%9F%98%80"}) {
    const Reply reply =
        world.client->Ask("PUT", "/api/models/" + name, ApiWorld::Bearer(world.admin), "x");
    EXPECT_EQ(reply.status, 400) << name;
    EXPECT_THAT(reply.body, ::testing::HasSubstr("A model's name")) << name;
  }
}

TEST(AdminApi, StreamsASnapshotAndThenChanges) {
  ApiWorld world;
  const DeviceId device = world.Enroll(1);
  Client watcher(world.loop, *world.api);
  watcher.Send("GET", "/api/events", ApiWorld::Bearer(world.admin), "");
  auto events = Events(watcher.Take().body);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].first, "snapshot");
  EXPECT_EQ(events[0].second["devices"].size(), 1u);

  const Job job = world.Submit(BatchText(100));
  world.WorkOff(device);
  world.loop.Advance(300ms);
  events = Events(watcher.Take().body);
  EXPECT_EQ(events.back().first == "job" || events.back().first == "device", true);
  std::size_t job_events = 0;
  nlohmann::json last;
  for (const auto& [name, data] : events)
    if (name == "job") {
      ++job_events;
      last = data;
    }
  EXPECT_EQ(job_events, 1u);  // all that happened within a moment is one event
  EXPECT_EQ(last["id"], job.id.value);
  EXPECT_EQ(last["status"], "completed");
  EXPECT_EQ(last["progress"]["generated_tokens"], 300);

  world.loop.Advance(20s);
  EXPECT_THAT(watcher.Take().body, HasSubstr("\n:\n\n"));
  ASSERT_TRUE(world.coordinator->devices().Remove(device).has_value());
  world.loop.Advance(300ms);
  EXPECT_EQ(Events(watcher.Take().body).back().first, "device_removed");
}

TEST(AdminApi, ShowsHowFastAnEmbeddingsJobReadsAndTheHeadOfItsVectors) {
  ApiWorld world;
  world.AddEmbeddingModel("vectors", kVectorLength);
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += EmbeddingLine(fmt::format("r{}", i), R"(["a","b"])");
  const Job job = world.Submit(lines, CoordinatorWorld::kAlice, kEmbeddingsEndpoint);
  const DeviceId device = world.Enroll(1);
  const auto grant = world.Grant(device, 1000, 0, 900);
  ASSERT_TRUE(grant.has_value());
  const auto get = [&](const std::string& path) {
    return world.client->Ask("GET", path, ApiWorld::Bearer(world.admin)).json();
  };
  EXPECT_EQ(get("/api/devices")["data"][0]["embedding_tokens_per_second"], 900.0);
  for (std::size_t i = 0; i < 40; ++i) {
    world.Report(device, grant->lease, {HonestVectors(*grant, grant->requests[i])});
    world.loop.Advance(100ms);
  }
  const nlohmann::json shown = get("/api/jobs/" + job.id.value);
  EXPECT_EQ(shown["endpoint"], "/v1/embeddings");
  EXPECT_NEAR(shown["progress"]["tokens_per_second"].get<double>(), 80, 30);  // 8 a request
  EXPECT_FALSE(shown["progress"]["seconds_left"].is_null());
  EXPECT_EQ(shown["progress"]["generated_tokens"], 0);
  EXPECT_EQ(shown["usage"]["input_tokens"], 320);
  const nlohmann::json requests = get("/api/jobs/" + job.id.value + "/requests?first=39&count=2");
  EXPECT_EQ(requests["data"][0]["response"]["object"], "embeddings_preview");
  EXPECT_EQ(requests["data"][0]["response"]["vector_count"], 2);
  EXPECT_TRUE(requests["data"][1]["response"].is_null());
}

TEST(AdminApi, ShowsWatchersOnlyWhatIsTheirs) {
  ApiWorld world;
  Client watcher(world.loop, *world.api);
  watcher.Send("GET", "/api/events", ApiWorld::Bearer(world.bob), "");
  world.Enroll(1);
  world.Submit(BatchText(1));
  world.loop.Advance(1s);
  const auto events = Events(watcher.Take().body);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].second, (nlohmann::json{{"jobs", nlohmann::json::array()}}));
}

TEST(AdminApi, EndsAWatchersStreamWhenItsKeyIsRevoked) {
  ApiWorld world;
  Client watcher(world.loop, *world.api);
  watcher.Send("GET", "/api/events", ApiWorld::Bearer(world.bob), "");
  const auto keys = *world.coordinator->keys().List();
  for (const ApiKey& key : keys) {
    if (key.account != ApiWorld::kBob) continue;
    ASSERT_TRUE(world.coordinator->keys().Revoke(key.id).has_value());
  }
  world.loop.Advance(16s);
  const std::string before = watcher.Take().body;
  const Job job = world.Submit(BatchText(1), ApiWorld::kBob);
  world.loop.Advance(16s);
  EXPECT_EQ(watcher.Take().body, before);
}

// A watcher that does not read gets a snapshot when it reads again, not everything it missed.
TEST(AdminApi, CatchesUpASlowWatcherWithASnapshot) {
  ApiWorld world;
  Client watcher(world.loop, *world.api);
  watcher.Send("GET", "/api/events", ApiWorld::Bearer(world.alice), "");
  watcher.stream().PauseReading();
  const auto file = world.Upload(BatchText(1));
  std::map<std::string, std::string> metadata;
  for (int i = 0; i < 16; ++i) metadata[fmt::format("k{}", i)] = std::string(512, 'x');
  for (int i = 0; i < 60; ++i) {
    metadata["k0"] = std::to_string(i);  // so that no two creates are equal
    ASSERT_TRUE(world.coordinator->jobs()
                    .Create({ApiWorld::kAlice, file->id, "/v1/chat/completions", "24h", metadata})
                    .has_value());
    world.loop.Advance(260ms);
  }
  watcher.stream().ResumeReading();
  world.loop.RunPending();
  EXPECT_EQ(Events(watcher.Take().body).back().first, "snapshot");
}

TEST(AdminApi, ServesTheDashboardItsCertificateAndItsHealth) {
  ApiWorld world;
  const Reply page = world.client->Ask("GET", "/");
  EXPECT_EQ(page.body, "<html>page</html>");
  EXPECT_THAT(page.Header("content-security-policy"), HasSubstr("default-src 'self'"));
  EXPECT_EQ(page.Header("cache-control"), "no-cache");
  EXPECT_EQ(world.client->Ask("GET", "/", {{"if-none-match", page.Header("etag")}}).status, 304);
  const Reply script = world.client->Ask("GET", "/assets/page-1.js");
  EXPECT_EQ(script.body, "script");
  EXPECT_THAT(script.Header("cache-control"), HasSubstr("immutable"));
  EXPECT_EQ(world.client->Ask("GET", "/jobs/batch_1").body, "<html>page</html>");
  EXPECT_EQ(world.client->Ask("GET", "/assets/none.js").status, 404);
  EXPECT_EQ(world.client->Ask("GET", "/v1/none").status, 404);
  EXPECT_EQ(world.client->Ask("GET", "/ca.pem").body, "PEM");
  EXPECT_EQ(world.client->Ask("GET", "/healthz").status, 200);
}

}  // namespace
}  // namespace fallow::api
