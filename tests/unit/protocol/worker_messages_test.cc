#include "protocol/worker_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "protocol/limits.h"
#include "tests/unit/protocol/samples.h"

namespace fallow {
namespace {

// The payload of the one frame in `bytes`.
Bytes PayloadOf(const Bytes& bytes) {
  FrameReader reader(kMaxWorkerFrameBytes);
  reader.Feed(bytes);
  auto payload = reader.Next();
  EXPECT_TRUE(payload.has_value() && payload->has_value());
  return payload->value();
}

AttemptResult WithoutAttempt(AttemptResult result) {
  result.attempt = AttemptId();
  return result;
}

TEST(WorkerMessages, EveryMessageToTheWorkerSurvivesTheWire) {
  for (const ToWorker& message : std::initializer_list<ToWorker>{
           LoadModel{"/var/cache/fallow/models/é.gguf"},
           RunRequests{.ticket = 7, .requests = {samples::Request(0), samples::Request(1)}},
           RunRequests{.ticket = 7, .requests = {samples::EmbeddingRequest(2)}},
           RunRequests{.ticket = 8, .requests = {}}, DropTicket{9}, StopWork{},
           SetPace{kMinPaceShare}, SetPace{0.3}, SetPace{1}}) {
    EXPECT_EQ(DecodeToWorker(PayloadOf(EncodeFrame(message))), message) << message.index();
  }
}

TEST(WorkerMessages, EveryMessageFromTheWorkerSurvivesTheWire) {
  for (const FromWorker& message : std::initializer_list<FromWorker>{
           WorkerReady{.vulkan = true,
         .processor = "llvmpipe",
         .driver = "Mesa",
         .memory_bytes = 5,
         .pci_address = "0000:01:00.0",
         .queue_priority = "low",
         .timestamps = true},
           ModelReady{.path = "/m.gguf", .context_length = 512, .max_sequence_count = 32},
           RequestFinished{.ticket = 7, .result = WithoutAttempt(samples::Finished(3, ""))},
           RequestFinished{.ticket = 7, .result = WithoutAttempt(samples::Failed(4, ""))},
           RequestFinished{.ticket = 7, .result = samples::Embedded(5, "")},
           ProgressReport{{.generated_token_count = 1,
           .prompt_token_count = 2,
           .active_sequence_count = 3,
           .waiting_request_count = 4}},
           Stopped{.stop_latency_us = 4200},
           WorkerFailure{{ErrorCode::kDataLoss, "the device was lost"}}}) {
    EXPECT_EQ(DecodeFromWorker(PayloadOf(EncodeFrame(message))), message) << message.index();
  }
}

TEST(WorkerMessages, APaceIsAShareOfTheTime) {
  for (const double share : {0.0, 0.0199, 1.01, -0.5, std::nan("")}) {
    const auto message = DecodeToWorker(PayloadOf(EncodeFrame(ToWorker(SetPace{share}))));
    ASSERT_FALSE(message.has_value()) << share;
    EXPECT_THAT(message.error().message, testing::HasSubstr("set_pace: share: "));
    EXPECT_THAT(message.error().message, testing::HasSubstr("; 0.02 to 1 are allowed"));
  }
}

TEST(WorkerMessages, AWorkerMayNotNameAttempts) {
  const auto message = DecodeFromWorker(PayloadOf(EncodeFrame(
      FromWorker(RequestFinished{.ticket = 1, .result = samples::Finished(3, "att_x")}))));
  ASSERT_FALSE(message.has_value());
  EXPECT_EQ(message.error().message,
            "request_finished: result: attempt_id: present, but a worker does not name attempts");
}

TEST(WorkerMessages, EmptyAndUnknownMessagesAreNamed) {
  EXPECT_EQ(DecodeToWorker({}).error().message, "message to worker: empty or of an unknown kind");
  EXPECT_EQ(DecodeFromWorker({}).error().message,
            "message from worker: empty or of an unknown kind");
  const Bytes unknown = {0x7A, 0x00};  // field 15, length 0
  EXPECT_EQ(DecodeToWorker(unknown).error().message,
            "message to worker: empty or of an unknown kind");
  EXPECT_EQ(DecodeToWorker(PayloadOf(EncodeFrame(ToWorker(LoadModel{""})))).error().message,
            "load_model: path: missing");
}

TEST(WorkerMessages, DamagedPayloadsNeverDoMoreThanFail) {
  const Bytes good = PayloadOf(EncodeFrame(FromWorker(
      RequestFinished{.ticket = 1, .result = WithoutAttempt(samples::Finished(3, ""))})));
  std::size_t failures = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    failures += !DecodeFromWorker(ByteView(good).first(at)).has_value();
    for (const std::uint8_t bits : {0x01, 0x80, 0xFF}) {
      Bytes bad = good;
      bad[at] ^= bits;
      if (const auto message = DecodeFromWorker(bad)) {
        EXPECT_EQ(DecodeFromWorker(PayloadOf(EncodeFrame(*message))), *message);
      }
    }
  }
  EXPECT_EQ(failures, good.size());
}

}  // namespace
}  // namespace fallow
