// The way of an embeddings batch through the whole core, on stores in memory and on disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/encoding.h"
#include "coordinator/core/limits.h"
#include "protocol/limits.h"
#include "tests/support/stores.h"
#include "tests/unit/coordinator/coordinator_world.h"
#include "tests/unit/coordinator/embedding_samples.h"

namespace fallow {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class EmbeddingsTest : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    world_.Start();
    world_.AddModel();
    world_.AddEmbeddingModel("vectors", kVectorLength);
  }
  Job Submit(const std::string& text) {
    return world_.Submit(text, CoordinatorWorld::kAlice, kEmbeddingsEndpoint);
  }
  void WorkOff(const DeviceId& device, std::uint32_t length = kVectorLength) {
    while (const auto grant = world_.Grant(device)) {
      std::vector<AttemptResult> results;
      for (const auto& request : grant->requests)
        results.push_back(HonestVectors(*grant, request, length));
      world_.Report(device, grant->lease, std::move(results));
    }
    world_.loop.RunPending();
  }
  // The errors of a file that must fail, as "line code param".
  std::vector<std::string> Errors(const std::string& text) {
    const Job job = Submit(text);
    EXPECT_EQ(job.state, JobState::kFailed);
    std::vector<std::string> errors;
    for (const JobError& error : job.errors)
      errors.push_back(fmt::format("{} {} {}", error.line, error.code, error.param));
    return errors;
  }
  ScratchDirectory scratch_;
  CoordinatorWorld world_{OpenStore(GetParam(), scratch_), OpenArtifacts(GetParam(), scratch_)};
};

INSTANTIATE_TEST_SUITE_P(Stores, EmbeddingsTest,
                         testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                         [](const auto& store) { return StoreKindName(store.param); });

std::vector<json> Lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

std::vector<float> FloatsOfBase64(const std::string& text) {
  const Bytes bytes = FromBase64(text).value();
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

TEST_P(EmbeddingsTest, TakesABatchFromUploadToOutputFile) {
  const Job job =
      Submit(EmbeddingLine("one", R"("a text")") +
             EmbeddingLine("two", R"(["b","longer"])", R"(,"encoding_format":"base64")") +
             EmbeddingLine("ids", "[[1,2],[3]]", R"(,"dimensions":6)"));
  ASSERT_EQ(job.state, JobState::kInProgress);
  WorkOff(world_.Enroll(1));
  const Job done = world_.Look(job.id);
  ASSERT_EQ(done.state, JobState::kCompleted);
  EXPECT_EQ(done.counts, (JobCounts{3, 3, 0}));
  EXPECT_EQ(done.usage, (JobUsage{20, 0}));

  const auto lines = Lines(world_.Content(done.output_file));
  ASSERT_EQ(lines.size(), 3u);
  for (const json& line : lines) {
    EXPECT_TRUE(line["error"].is_null());
    EXPECT_EQ(line["response"]["status_code"], 200);
    EXPECT_EQ(line["response"]["body"]["object"], "list");
    EXPECT_EQ(line["response"]["body"]["model"], "vectors");
  }
  EXPECT_EQ(lines[0]["custom_id"], "one");
  const json& one = lines[0]["response"]["body"];
  EXPECT_EQ(one["usage"], (json{{"prompt_tokens", 4}, {"total_tokens", 4}}));
  ASSERT_EQ(one["data"].size(), 1u);
  EXPECT_EQ(one["data"][0]["object"], "embedding");
  EXPECT_EQ(one["data"][0]["index"], 0);
  EXPECT_EQ(one["data"][0]["embedding"].get<std::vector<float>>(),
            VectorOf({"a text", {}}, kVectorLength));
  const json& two = lines[1]["response"]["body"]["data"];
  EXPECT_EQ(two[1]["index"], 1);
  EXPECT_EQ(FloatsOfBase64(two[0]["embedding"]), VectorOf({"b", {}}, kVectorLength));
  EXPECT_EQ(FloatsOfBase64(two[1]["embedding"]), VectorOf({"longer", {}}, kVectorLength));
  const json& ids = lines[2]["response"]["body"]["data"];
  EXPECT_EQ(ids[0]["embedding"].get<std::vector<float>>(), VectorOf({"", {1, 2}}, kVectorLength));
}

// The same input gives the same bytes, whoever computed which part in which order.
TEST_P(EmbeddingsTest, WritesTheSameBytesWhateverTheOrder) {
  std::string input;
  for (int i = 0; i < 40; ++i)
    input += EmbeddingLine(fmt::format("r{}", i), fmt::format("\"{}\"", std::string(i + 1, 'x')));
  const Job first = Submit(input);
  WorkOff(world_.Enroll(1));
  world_.loop.Advance(std::chrono::hours(3));
  const Job second = world_.Submit(input, CoordinatorWorld::kBob, kEmbeddingsEndpoint);
  const DeviceId device = world_.Enroll(2);
  std::vector<LeaseGrant> held;
  for (int i = 0; i < 3; ++i) held.push_back(*world_.Grant(device, 7));
  for (auto grant = held.rbegin(); grant != held.rend(); ++grant) {
    for (const auto& request : grant->requests)
      world_.Report(device, grant->lease, {HonestVectors(*grant, request)});
  }
  WorkOff(device);
  const std::string output = world_.Content(world_.Look(first.id).output_file);
  EXPECT_EQ(Lines(output).size(), 40u);
  EXPECT_EQ(output, world_.Content(world_.Look(second.id).output_file));
}

// Every fp32 is written so that a reader of doubles gets the same fp32.
TEST_P(EmbeddingsTest, WritesValuesThatReadBackAsTheSameFp32) {
  world_.AddEmbeddingModel("long", 4096);
  const Job job = Submit(EmbeddingLine("a", "\"x\"", "", "long"));
  WorkOff(world_.Enroll(1), 4096);
  const auto lines = Lines(world_.Content(world_.Look(job.id).output_file));
  const json& values = lines.at(0)["response"]["body"]["data"][0]["embedding"];
  const std::vector<float> vector = VectorOf({"x", {}}, 4096);
  ASSERT_EQ(values.size(), vector.size());
  for (std::size_t i = 0; i < vector.size(); ++i)
    ASSERT_EQ(static_cast<float>(values[i].get<double>()), vector[i]) << values[i];
}

TEST_P(EmbeddingsTest, RefusesAModelThatIsForTheOtherEndpoint) {
  EXPECT_THAT(Errors(EmbeddingLine("a", "\"x\"", "", "tiny") + "no JSON\n"),
              ElementsAre("1 wrong_endpoint body.model"));
  const Job chat = world_.Submit(BatchLineText("a", "hi", "vectors"));
  ASSERT_EQ(chat.state, JobState::kFailed);
  EXPECT_EQ(chat.errors.at(0).code, "wrong_endpoint");
  EXPECT_THAT(chat.errors[0].message,
              testing::AllOf(HasSubstr("\"vectors\""), HasSubstr("/v1/embeddings")));
}

TEST_P(EmbeddingsTest, RefusesChatsForAModelWithoutATemplate) {
  world_.AddModelWithCard("base", R"({"context_length":64,"chat":false,"pooling":"none"})");
  const Job job = world_.Submit(BatchLineText("a", "hi", "base"));
  ASSERT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.errors.at(0).code, "no_chat_template");
  EXPECT_THAT(job.errors.at(0).message, HasSubstr("\"base\""));
}

TEST_P(EmbeddingsTest, NamesLinesThatItsModelCannotAnswer) {
  world_.AddEmbeddingModel("widest", kMaxEmbeddingLength);
  EXPECT_THAT(Errors(EmbeddingLine("a", "\"x\"") + EmbeddingLine("b", "\"\"") +
                     EmbeddingLine("c", "\"x\"", R"(,"dimensions":3)") + BatchLineText("d")),
              ElementsAre("2 invalid_value body.input", "3 invalid_value body.dimensions",
                          "4 invalid_url url"));
  std::string inputs = "\"x\"";
  for (std::size_t i = 0; i < kMaxEmbeddingValues / kMaxEmbeddingLength; ++i) inputs += ",\"x\"";
  EXPECT_THAT(Errors(EmbeddingLine("a", "[" + inputs + "]", "", "widest")),
              ElementsAre("1 invalid_value body.input"));
}

TEST_P(EmbeddingsTest, TakesAsManyInputsABatchAsOpenAiDoes) {
  std::string inputs = "\"x\"";
  for (int i = 1; i < 2000; ++i) inputs += ",\"x\"";
  std::string text;
  for (int i = 0; i < 25; ++i) text += EmbeddingLine(fmt::format("r{}", i), "[" + inputs + "]");
  EXPECT_EQ(Submit(text).state, JobState::kInProgress);
  text += EmbeddingLine("one too many", "\"x\"");
  EXPECT_THAT(Errors(text), ElementsAre("26 too_many_inputs body.input"));
}

TEST_P(EmbeddingsTest, GivesUpAVectorThatIsNotWhatItsDigestSays) {
  const Job job = Submit(EmbeddingLine("a", "\"x\""));
  const DeviceId device = world_.Enroll(1);
  const auto grant = world_.Grant(device);
  AttemptResult forged = HonestVectors(*grant, grant->requests[0]);
  std::swap(forged.embeddings[0][0], forged.embeddings[0][1]);
  world_.Report(device, grant->lease, {forged});
  EXPECT_EQ(world_.Look(job.id).counts.completed, 0u);
  WorkOff(world_.Enroll(2));
  EXPECT_EQ(world_.Look(job.id).state, JobState::kCompleted);
}

// A device of unknown speed gets some inputs, whatever number of requests they are; afterwards
// shards follow its speed in reading.
TEST_P(EmbeddingsTest, CutsShardsByInputsAndByReadingSpeed) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += EmbeddingLine(fmt::format("r{}", i), R"(["a","b"])");
  Submit(text);
  const DeviceId device = world_.Enroll(1);
  const auto first = world_.Grant(device);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->requests.size(), kFirstShardRequests);
  std::vector<AttemptResult> results;
  for (const auto& request : first->requests) results.push_back(HonestVectors(*first, request));
  world_.Report(device, first->lease, std::move(results));
  // 8 tokens a request: 40 tokens a second read 1,200 in the 30 s of a shard. What it generates a
  // second says nothing.
  EXPECT_EQ(world_.Grant(device, 1000, 1e6, 40)->requests.size(), 150u);
  EXPECT_EQ(world_.Grant(device, 1000, 1e6, 0)->requests.size(), kFirstShardRequests);
}

// It could not read the reply, and the shard would wait with it until the lease is over.
TEST_P(EmbeddingsTest, GivesNoInputsToAnAgentThatDoesNotKnowThem) {
  Submit(EmbeddingLine("a", R"("one")") + "\n");
  const DeviceId device = world_.Enroll(1);
  LeaseRequest of_old_agent{.max_request_count = 10, .takes_inputs = false};
  auto grant = world_.coordinator->leases().Grant(device, of_old_agent);
  ASSERT_TRUE(grant.has_value());
  EXPECT_FALSE(grant->has_value());
  world_.Submit(BatchText(1));
  grant = world_.coordinator->leases().Grant(device, of_old_agent);
  ASSERT_TRUE(grant.has_value() && grant->has_value());
  EXPECT_TRUE((*grant)->requests[0].inputs.empty());
  EXPECT_TRUE(world_.Grant(device).has_value());
}

TEST_P(EmbeddingsTest, BoundsTheVectorsOfAShard) {
  world_.AddEmbeddingModel("wide", 8192);
  std::string inputs = "\"x\"";
  for (int i = 1; i < 512; ++i) inputs += ",\"x\"";
  std::string text;
  for (int i = 0; i < 6; ++i)
    text += EmbeddingLine(fmt::format("r{}", i), "[" + inputs + "]", "", "wide");
  Submit(text);
  const DeviceId device = world_.Enroll(1);
  // Unknown speed: the first request goes whatever it asks, …
  const auto first = world_.Grant(device);
  ASSERT_EQ(first->requests.size(), 1u);
  world_.Report(device, first->lease, {HonestVectors(*first, first->requests[0], 8192)});
  // … and a fast device gets 64 MiB of vectors at once.
  EXPECT_EQ(world_.Grant(device, 1000, 0, 1e9)->requests.size(), 4u);
}

TEST_P(EmbeddingsTest, ShowsPeopleTheHeadOfTheVectors) {
  std::string inputs = "\"x\"";
  for (int i = 1; i < 20; ++i) inputs += ",\"x\"";
  world_.AddEmbeddingModel("long", 300);
  const Job job = Submit(EmbeddingLine("a", "[" + inputs + "]", "", "long"));
  WorkOff(world_.Enroll(1), 300);
  const auto views = world_.coordinator->jobs().Requests(CoordinatorWorld::kAlice, job.id, 0, 10);
  ASSERT_EQ(views->size(), 1u);
  const json shown = json::parse(views->at(0).response_json);
  EXPECT_EQ(shown["vector_count"], 20);
  EXPECT_EQ(shown["vector_length"], 300);
  ASSERT_EQ(shown["data"].size(), kMaxVectorsShown);
  EXPECT_NEAR(shown["data"][1]["norm"], 1, 1e-6);
  EXPECT_EQ(shown["data"][1]["first_values"].size(), kMaxVectorValuesShown);
  EXPECT_TRUE(views->at(0).result->result.embeddings.empty());
}

}  // namespace
}  // namespace fallow
