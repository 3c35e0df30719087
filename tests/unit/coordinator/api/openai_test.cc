#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/api/api_world.h"

namespace fallow::api {
namespace {

using ::testing::HasSubstr;

TEST(OpenAiApi, TakesABatchFromUploadToOutput) {
  ApiWorld world;
  const Json file = world.UploadForm(world.alice, BatchText(3)).json();
  EXPECT_EQ(file["object"], "file");
  EXPECT_EQ(file["bytes"], BatchText(3).size());
  EXPECT_EQ(file["filename"], "in.jsonl");
  EXPECT_EQ(file["purpose"], "batch");
  EXPECT_EQ(file["status"], "processed");

  const Json batch = world.CreateBatch(world.alice, file["id"]).json();
  EXPECT_EQ(batch["object"], "batch");
  EXPECT_EQ(batch["status"], "validating");
  world.WorkOff(world.Enroll(1));

  const Json done = world.client
                        ->Ask("GET", "/v1/batches/" + batch["id"].get<std::string>(),
                              ApiWorld::Bearer(world.alice))
                        .json();
  EXPECT_EQ(done["status"], "completed");
  EXPECT_EQ(done["model"], "tiny");
  EXPECT_EQ(done["errors"], nullptr);
  EXPECT_EQ(done["request_counts"], (Json{{"total", 3}, {"completed", 3}, {"failed", 0}}));
  EXPECT_EQ(done["usage"]["output_tokens"], 9);
  const Reply output = world.client->Ask(
      "GET", "/v1/files/" + done["output_file_id"].get<std::string>() + "/content",
      ApiWorld::Bearer(world.alice));
  EXPECT_EQ(output.status, 200);
  EXPECT_EQ(output.Header("content-length"), std::to_string(output.body.size()));
  EXPECT_THAT(output.body, HasSubstr("answer to question 2"));
}

TEST(OpenAiApi, RefusesCallsWithoutALiveKeyInOpenAisShape) {
  ApiWorld world;
  for (const Headers& headers :
       {Headers{}, ApiWorld::Bearer("sk-fallow-wrong"), Headers{{"authorization", "Basic x"}}}) {
    const Reply reply = world.client->Ask("GET", "/v1/models", headers);
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.Header("content-type"), "application/json");
    EXPECT_NE(reply.Header("x-request-id"), "");
    const Json error = reply.json()["error"];
    for (const char* key : {"message", "type", "param", "code"})
      EXPECT_TRUE(error.contains(key)) << key;
  }
  EXPECT_EQ(world.client->Ask("GET", "/v1/models", ApiWorld::Bearer(world.alice)).status, 200);
  const auto keys = *world.coordinator->keys().List();
  for (const ApiKey& key : keys) ASSERT_TRUE(world.coordinator->keys().Revoke(key.id).has_value());
  EXPECT_EQ(world.client->Ask("GET", "/v1/models", ApiWorld::Bearer(world.alice)).status, 401);
}

TEST(OpenAiApi, KeepsAccountsApart) {
  ApiWorld world;
  const std::string file = world.UploadForm(world.alice, BatchText(1)).json()["id"];
  const std::string batch = world.CreateBatch(world.alice, file).json()["id"];
  for (const std::string& path :
       std::vector{"/v1/files/" + file, "/v1/files/" + file + "/content", "/v1/batches/" + batch})
    EXPECT_EQ(world.client->Ask("GET", path, ApiWorld::Bearer(world.bob)).status, 404) << path;
  EXPECT_EQ(world.client->Ask("DELETE", "/v1/files/" + file, ApiWorld::Bearer(world.bob)).status,
            404);
  EXPECT_EQ(
      world.client->Ask("POST", "/v1/batches/" + batch + "/cancel", ApiWorld::Bearer(world.bob))
          .status,
      404);
  EXPECT_EQ(world.client->Ask("GET", "/v1/files", ApiWorld::Bearer(world.bob)).json()["data"],
            Json::array());
  EXPECT_EQ(
      world.client->Ask("GET", "/v1/files/" + file + "/content", ApiWorld::Bearer(world.admin))
          .body,
      BatchText(1));
}

TEST(OpenAiApi, NamesWhatIsWrongWithAnUpload) {
  ApiWorld world;
  EXPECT_EQ(world.UploadForm(world.alice, "x", "fine-tune").json()["error"]["param"], "purpose");
  Headers headers = ApiWorld::Bearer(world.alice);
  EXPECT_EQ(world.client->Ask("POST", "/v1/files", headers, "x").status, 400);
  headers.emplace_back("content-type", "multipart/form-data; boundary=XX");
  const Reply cut =
      world.client->Ask("POST", "/v1/files", headers,
                        "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc");
  EXPECT_EQ(cut.status, 400);
  EXPECT_THAT(cut.body, HasSubstr("closing boundary is missing"));
  EXPECT_EQ(world.client->Ask("GET", "/v1/files", ApiWorld::Bearer(world.alice)).json()["data"],
            Json::array());
}

TEST(OpenAiApi, RefusesAFileBeyondTheLimitsWith413) {
  ApiWorld world;
  Headers headers = ApiWorld::Bearer(world.alice);
  headers.emplace_back("content-type", "multipart/form-data; boundary=XX");
  Headers known = headers;
  known.emplace_back("expect", "100-continue");
  Client teller(world.loop, *world.api);
  // Only the head is sent: the length alone decides.
  std::string head = "POST /v1/files HTTP/1.1\r\nhost: test\r\ncontent-length: 600000000\r\n";
  for (const auto& [name, value] : known) head += name + ": " + value + "\r\n";
  head += "\r\n";
  teller.stream().Write(Bytes(head.begin(), head.end()));
  world.loop.RunPending();
  EXPECT_EQ(teller.Take().status, 413);

  // The purpose comes first here, so a batch file is refused as soon as it passes 200 MiB.
  Client streamer(world.loop, *world.api);
  std::string open = "POST /v1/files HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n";
  for (const auto& [name, value] : headers) open += name + ": " + value + "\r\n";
  const std::string parts =
      "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
  open += fmt::format("\r\n{:x}\r\n{}\r\n", parts.size(), parts);
  streamer.stream().Write(Bytes(open.begin(), open.end()));
  const std::string piece = fmt::format("{:x}\r\n{}\r\n", 4 << 20, std::string(4 << 20, 'x'));
  for (int i = 0; i < 51 && streamer.Take().status == 0; ++i) {
    streamer.stream().Write(Bytes(piece.begin(), piece.end()));
    world.loop.RunPending();
  }
  EXPECT_EQ(streamer.Take().status, 413);
  EXPECT_EQ(streamer.Take().json()["error"]["code"], "file_too_large");
}

TEST(OpenAiApi, ListsFilesInBothOrdersByPages) {
  ApiWorld world;
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(world.UploadForm(world.alice, BatchText(1)).json()["id"]);
    world.loop.Advance(std::chrono::seconds(1));
  }
  const auto list = [&](const std::string& query) {
    return world.client->Ask("GET", "/v1/files?" + query, ApiWorld::Bearer(world.alice)).json();
  };
  const Json newest = list("limit=2");
  EXPECT_EQ(newest["object"], "list");
  EXPECT_EQ(newest["data"][0]["id"], ids[4]);
  EXPECT_EQ(newest["has_more"], true);
  EXPECT_EQ(newest["last_id"], ids[3]);
  EXPECT_EQ(list("limit=3&after=" + ids[3])["data"][0]["id"], ids[2]);
  EXPECT_EQ(list("limit=3&after=" + ids[3])["has_more"], false);
  const Json oldest = list("order=asc&limit=2&after=" + ids[0]);
  EXPECT_EQ(oldest["data"][0]["id"], ids[1]);
  EXPECT_EQ(oldest["has_more"], true);
  EXPECT_EQ(list("purpose=batch_output")["data"], Json::array());
  EXPECT_EQ(list("limit=0")["error"]["param"], "limit");
  EXPECT_EQ(list("order=up")["error"]["param"], "order");
}

TEST(OpenAiApi, NamesTheFieldOfABadBatch) {
  ApiWorld world;
  const std::string file = world.UploadForm(world.alice, BatchText(1)).json()["id"];
  const Json good = {
      {"input_file_id", file}, {"endpoint", "/v1/chat/completions"}, {"completion_window", "24h"}};
  const auto refusal = [&](const Json& change) {
    Json body = good;
    body.merge_patch(change);
    const Reply reply =
        world.client->Ask("POST", "/v1/batches", ApiWorld::JsonBearer(world.alice), body.dump());
    EXPECT_GE(reply.status, 400) << change;
    return reply.json()["error"]["param"];
  };
  EXPECT_EQ(refusal({{"input_file_id", nullptr}}), "input_file_id");
  EXPECT_EQ(refusal({{"endpoint", "/v1/completions"}}), "endpoint");
  EXPECT_EQ(refusal({{"completion_window", 24}}), "completion_window");
  EXPECT_EQ(refusal({{"metadata", {{"k", 1}}}}), "metadata");
  EXPECT_EQ(refusal({{"metadata", {{"k", std::string(513, 'x')}}}}), "metadata");
  EXPECT_EQ(refusal({{"output_expires_after", {{"anchor", "created_at"}, {"seconds", 3600}}}}),
            "output_expires_after");
  EXPECT_EQ(
      world.client->Ask("POST", "/v1/batches", ApiWorld::JsonBearer(world.alice), "[1").status,
      400);
  EXPECT_EQ(world.CreateBatch(world.alice, "file-none").status, 404);
}

TEST(OpenAiApi, ShowsAnInvalidFilesErrorsByLine) {
  ApiWorld world;
  const std::string file = world.UploadForm(world.alice, BatchText(2) + "{broken\n").json()["id"];
  const std::string id = world.CreateBatch(world.alice, file).json()["id"];
  world.loop.RunPending();
  const Json batch =
      world.client->Ask("GET", "/v1/batches/" + id, ApiWorld::Bearer(world.alice)).json();
  EXPECT_EQ(batch["status"], "failed");
  EXPECT_EQ(batch["errors"]["data"][0]["code"], "invalid_json_line");
  EXPECT_EQ(batch["errors"]["data"][0]["line"], 3);
}

TEST(OpenAiApi, FindsModelsByTheirEncodedNames) {
  ApiWorld world;
  world.AddModel("org/name:Q8_0");
  const Json list = world.client->Ask("GET", "/v1/models", ApiWorld::Bearer(world.alice)).json();
  EXPECT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(world.client->Ask("GET", "/v1/models/org%2Fname:Q8_0", ApiWorld::Bearer(world.alice))
                .json()["id"],
            "org/name:Q8_0");
  const Reply none = world.client->Ask("GET", "/v1/models/none", ApiWorld::Bearer(world.alice));
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(none.json()["error"]["code"], "model_not_found");
}

TEST(OpenAiApi, DeletesAndCancels) {
  ApiWorld world;
  const std::string file = world.UploadForm(world.alice, BatchText(1)).json()["id"];
  const std::string batch = world.CreateBatch(world.alice, file).json()["id"];
  world.loop.RunPending();
  EXPECT_EQ(world.client->Ask("DELETE", "/v1/files/" + file, ApiWorld::Bearer(world.alice)).status,
            400);
  const Reply cancelled =
      world.client->Ask("POST", "/v1/batches/" + batch + "/cancel", ApiWorld::Bearer(world.alice));
  EXPECT_EQ(cancelled.status, 200);
  world.loop.RunPending();
  EXPECT_EQ(world.client->Ask("GET", "/v1/batches/" + batch, ApiWorld::Bearer(world.alice))
                .json()["status"],
            "cancelled");
  EXPECT_EQ(world.client->Ask("DELETE", "/v1/files/" + file, ApiWorld::Bearer(world.alice)).json(),
            (Json{{"id", file}, {"object", "file"}, {"deleted", true}}));
  EXPECT_EQ(world.client->Ask("GET", "/v1/files/" + file, ApiWorld::Bearer(world.alice)).status,
            404);
}

}  // namespace
}  // namespace fallow::api
