// What every Store promises of embedding requests and their vectors: one suite, run on each.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/conformance/store_conformance.h"

namespace fallow {
namespace {

using std::chrono::seconds;

const JobId kJob{"batch_1"};

AttemptResult Vectors(std::uint64_t index, std::size_t count, std::size_t length) {
  AttemptResult result;
  result.attempt = AttemptId("att_1");
  result.request_index = index;
  result.prompt_token_count = 5;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float>& vector = result.embeddings.emplace_back(length, 1e-45f);
    vector.front() = -0.33333334f * static_cast<float>(i + 1);
    vector.back() = 3.4028235e38f;
    result.state_digests.push_back(VectorDigest(vector));
  }
  return result;
}

class StoreEmbeddings : public StoreConformance {
 protected:
  // A job in progress with a request for each of `input_counts`.
  void Start(const std::vector<std::uint32_t>& input_counts) {
    Job job = MakeJob(kJob.value);
    job.endpoint = kEmbeddingsEndpoint;
    ASSERT_TRUE(store().CreateJob(job, Digest{}, kNow).has_value());
    std::vector<Request> requests;
    for (const std::uint32_t count : input_counts) {
      Request& request = requests.emplace_back();
      request.index = requests.size() - 1;
      request.custom_id = fmt::format("r{}", request.index);
      request.length = 10;
      request.input_count = count;
      request.vector_encoding = VectorEncoding::kBase64;
    }
    const Model model = MakeModel();
    ASSERT_TRUE(store().StartJob(kJob, model.id, model.artifact, requests, kNow).has_value());
  }
  std::vector<Request> Grant(const std::string& lease, std::uint64_t max_input_count) {
    const auto granted = store().GrantLease(
        {LeaseId(lease), kDevice, kJob, 100, 1 << 20, kNow, kNow + seconds(60), max_input_count});
    EXPECT_TRUE(granted.has_value());
    return *granted ? (*granted)->requests : std::vector<Request>{};
  }
  std::vector<RequestOutcome> Outcomes(Answers answers) {
    return *store().Outcomes(kJob, 0, 100, answers);
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreEmbeddings,
                         testing::Values(StoreKind::kMemory, StoreKind::kSqlite),
                         [](const auto& store) { return StoreKindName(store.param); });

TEST_P(StoreEmbeddings, KeepsVectorsBitForBit) {
  Start({2, 1});
  ASSERT_EQ(Grant("lease_1", 100).size(), 2u);
  Record("lease_1", {{Vectors(0, 2, 3)}, {Vectors(1, 1, 1)}});
  const auto outcomes = Outcomes(Answers::kWith);
  EXPECT_EQ(outcomes[0].result->result, Vectors(0, 2, 3));
  EXPECT_EQ(outcomes[1].result->result, Vectors(1, 1, 1));
  EXPECT_EQ(store().FindJob(kJob)->value().usage, (JobUsage{10, 0}));
  EXPECT_EQ(store().FindDevice(kDevice)->value().completed_request_count, 2u);
}

TEST_P(StoreEmbeddings, KeepsHowManyInputsARequestHasAndHowItsVectorsAreWritten) {
  Start({7, 8});
  const std::uint64_t asked[] = {1};
  const auto found = store().FindRequests(kJob, asked);
  EXPECT_EQ((*found)[0].input_count, 8u);
  EXPECT_EQ((*found)[0].vector_encoding, VectorEncoding::kBase64);
  EXPECT_EQ(Grant("lease_1", 100)[0].input_count, 7u);
}

TEST_P(StoreEmbeddings, CutsAShardByItsInputs) {
  Start({5, 5, 5, 5});
  EXPECT_EQ(Grant("lease_1", 10).size(), 2u);
  EXPECT_EQ(Grant("lease_2", 1).size(), 1u);  // the first goes whatever it asks
}

TEST_P(StoreEmbeddings, LeavesOutAnswersThatAreNotWanted) {
  Start({2, 1});
  Grant("lease_1", 100);
  AttemptResult failed;
  failed.attempt = AttemptId("att_2");
  failed.request_index = 1;
  failed.error = Error{ErrorCode::kInvalidArgument, "input 0 is too long"};
  Record("lease_1", {{Vectors(0, 2, 3)}, {failed}});
  const auto outcomes = Outcomes(Answers::kWithout);
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].request.state, RequestState::kDone);
  EXPECT_EQ(outcomes[0].result->device, kDevice);
  EXPECT_EQ(outcomes[0].result->result.prompt_token_count, 5u);
  EXPECT_EQ(AnswerBytes(outcomes[0].result->result), 0u);
  EXPECT_EQ(outcomes[1].result->result.error, failed.error);
}

TEST_P(StoreEmbeddings, ReadsLargeVectorsPieceByPiece) {
  Start({1, 1, 1, 1});
  Grant("lease_1", 100);
  constexpr std::size_t kHalfAPiece = kMaxOutcomeBytes / sizeof(float) / 2;
  for (std::uint64_t i = 0; i < 4; ++i) Record("lease_1", {{Vectors(i, 1, kHalfAPiece)}});
  const auto piece = Outcomes(Answers::kWith);
  EXPECT_GE(piece.size(), 2u);
  EXPECT_LT(piece.size(), 4u);
  EXPECT_EQ(Outcomes(Answers::kWithout).size(), 4u);
}

}  // namespace
}  // namespace fallow
