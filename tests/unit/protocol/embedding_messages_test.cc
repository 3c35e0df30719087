// Embedding requests and results on the wire: what is refused by name, and that the largest fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "protocol/agent_messages.h"
#include "protocol/limits.h"
#include "protocol/worker_messages.h"
#include "tests/unit/protocol/samples.h"

namespace fallow {
namespace {

using testing::HasSubstr;

std::string RequestError(const InferenceRequest& request) {
  LeaseReply reply{samples::Grant()};
  reply.grant->requests = {request};
  const auto decoded = DecodeLeaseReply(Encode(reply));
  return decoded ? "no error" : decoded.error().message;
}

std::string ResultError(const AttemptResult& result) {
  const auto decoded = DecodeReportRequest(Encode(ReportRequest{
      .lease = LeaseId("lease_1"), .results = {result}, .status = samples::Status()}));
  return decoded ? "no error" : decoded.error().message;
}

AttemptResult WithVectors(std::size_t count, std::size_t length) {
  AttemptResult result;
  result.attempt = AttemptId("att");
  result.prompt_token_count = 1;
  result.embeddings.assign(count, std::vector<float>(length, 0.5f));
  result.state_digests.assign(count, VectorDigest(result.embeddings[0]));
  return result;
}

TEST(EmbeddingMessages, RequestErrorsNameTheInputAndTheLimit) {
  const auto error_after = [](auto&& change) {
    InferenceRequest request = samples::EmbeddingRequest(0);
    change(request);
    return RequestError(request);
  };
  const std::string at = "lease reply: grant: requests[0]: ";
  EXPECT_EQ(error_after([](InferenceRequest& r) { r.inputs[1] = {}; }),
            at + "inputs[1]: must have text or token_ids, one of the two");
  EXPECT_EQ(error_after([](InferenceRequest& r) { r.inputs[0].text = "\xC0\xAF"; }),
            at + "inputs[0]: not UTF-8");
  EXPECT_EQ(error_after([](InferenceRequest& r) { r.messages = samples::Request(0).messages; }),
            at + "inputs: with messages: a request has one or the other");
  EXPECT_EQ(error_after([](InferenceRequest& r) { r.inputs.resize(2049, r.inputs[0]); }),
            at + "inputs: more than 2048");
  EXPECT_EQ(error_after([](InferenceRequest& r) {
              r.inputs[0].text.assign(kMaxRequestTextBytes / 2 + 1, 'a');
              r.inputs[1] = r.inputs[0];
            }),
            at + "inputs: 8388610 bytes of text; at most 8388608");
  EXPECT_EQ(error_after([](InferenceRequest& r) {
              r.inputs[1].token_ids.assign(kMaxInputTokenIds + 1, 7);
            }),
            at + "inputs: 1048577 token ids; at most 1048576");
}

TEST(EmbeddingMessages, ResultErrorsNameTheVectorAndTheLimit) {
  const auto error_after = [](auto&& change) {
    AttemptResult result = samples::Embedded(0, "att");
    change(result);
    return ResultError(result);
  };
  const std::string at = "report: results[0]: ";
  EXPECT_EQ(error_after([](AttemptResult& r) { r.embeddings[1].pop_back(); }),
            at + "embeddings[1]: 2 values, the first has 3");
  EXPECT_EQ(error_after([](AttemptResult& r) { r.embeddings[0].clear(); }),
            at + "embeddings[0]: 0 values; 1 to 65536 are allowed");
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(error_after([&](AttemptResult& r) { r.embeddings[1][2] = value; }),
              at + "embeddings[1]: a value that is not finite");
  }
  EXPECT_EQ(error_after([](AttemptResult& r) { r.state_digests.pop_back(); }),
            at + "state_digests: 1 of them; 2 embeddings have 2");
  EXPECT_EQ(error_after([](AttemptResult& r) { r.text = "and a text"; }),
            at + "embeddings: with text or token_ids: a result has one or the other");
  EXPECT_EQ(ResultError(WithVectors(1, kMaxEmbeddingLength + 1)),
            at + "embeddings[0]: 65537 values; 1 to 65536 are allowed");
  EXPECT_EQ(ResultError(WithVectors(65, kMaxEmbeddingLength)),
            at + "values of embeddings: 4259840 of them; at most 4194304");
}

TEST(EmbeddingMessages, TheLargestResultFitsAReportAndAFrame) {
  const AttemptResult largest = WithVectors(kMaxEmbeddingInputs, 2048);
  EXPECT_EQ(ResultError(largest), "no error");
  AttemptResult from_worker = largest;
  from_worker.attempt = AttemptId();
  EXPECT_LT(EncodeFrame(FromWorker(RequestFinished{.ticket = 1, .result = from_worker})).size(),
            kMaxWorkerFrameBytes / 2);
}

TEST(EmbeddingMessages, AVectorsDigestIsThatOfItsLittleEndianBytes) {
  const std::vector<float> vector = {1.0f, -2.5f};
  const Bytes bytes = {0x00, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x20, 0xC0};
  EXPECT_EQ(VectorDigest(vector), Sha256::Of(ByteView(bytes)));
}

}  // namespace
}  // namespace fallow
