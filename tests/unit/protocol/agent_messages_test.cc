#include "protocol/agent_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "protocol/limits.h"
#include "tests/unit/protocol/samples.h"

namespace fallow {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string MessageOf(const auto& result) {
  return result ? "no error" : result.error().message;
}

TEST(AgentMessages, EveryMessageSurvivesTheWire) {
  const EnrollRequest enroll{.protocol_version = 1,
                             .join_token = "token",
                             .public_key = Bytes(32, 0x5A),
                             .profile = samples::Profile()};
  EXPECT_EQ(DecodeEnrollRequest(Encode(enroll)), enroll);
  EnrollRequest fresh = enroll;  // before its worker has opened a backend
  fresh.profile.backend = BackendKind::kUnknown;
  fresh.profile.processor.clear();
  EXPECT_EQ(DecodeEnrollRequest(Encode(fresh)), fresh);
  const EnrollReply enrolled{DeviceId("dev_7")};
  EXPECT_EQ(DecodeEnrollReply(Encode(enrolled)), enrolled);
  const LeaseRequest lease{.profile = samples::Profile(),
                           .status = samples::Status(),
                           .cached_models = {Digest{}, Digest{.bytes = {9}}},
                           .max_request_count = 256,
                           .wait = std::chrono::milliseconds(30'000)};
  EXPECT_EQ(DecodeLeaseRequest(Encode(lease)), lease);
  LeaseRequest without_inputs = lease;
  without_inputs.takes_inputs = false;
  EXPECT_EQ(DecodeLeaseRequest(Encode(without_inputs)), without_inputs);
  EXPECT_EQ(DecodeLeaseReply(Encode(LeaseReply{})), LeaseReply{});
  const LeaseReply granted{samples::Grant()};
  EXPECT_EQ(DecodeLeaseReply(Encode(granted)), granted);
  LeaseReply for_embeddings{samples::Grant()};
  for_embeddings.grant->requests = {samples::EmbeddingRequest(0), samples::EmbeddingRequest(7)};
  EXPECT_EQ(DecodeLeaseReply(Encode(for_embeddings)), for_embeddings);
  const ReportRequest report{.lease = LeaseId("lease_1"),
                             .results = {samples::Finished(3, "att_a"), samples::Failed(4, "att_b"),
                                         samples::Embedded(5, "att_c")},
                             .status = samples::Status()};
  EXPECT_EQ(DecodeReportRequest(Encode(report)), report);
  for (const bool live : {true, false}) {
    EXPECT_EQ(DecodeReportReply(Encode(ReportReply{live})), ReportReply{live});
  }
  const HeartbeatRequest heartbeat{.status = samples::Status(),
                                   .leases = {LeaseId("lease_1"), LeaseId("lease_2")},
                                   .progress = {.generated_token_count = 1,
                                                .prompt_token_count = 2,
                                                .active_sequence_count = 3,
                                                .waiting_request_count = 4}};
  EXPECT_EQ(DecodeHeartbeatRequest(Encode(heartbeat)), heartbeat);
  const HeartbeatReply ended{{LeaseId("lease_2")}};
  EXPECT_EQ(DecodeHeartbeatReply(Encode(ended)), ended);
  const ReleaseRequest release{
      .lease = LeaseId("lease_1"), .reason = "the owner is back", .status = samples::Status()};
  EXPECT_EQ(DecodeReleaseRequest(Encode(release)), release);
}

TEST(AgentMessages, EveryErrorCodeSurvivesTheWire) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    ReportRequest report{
        .lease = LeaseId("l"), .results = {samples::Failed(1, "a")}, .status = samples::Status()};
    report.results[0].error->code = static_cast<ErrorCode>(code);
    EXPECT_EQ(DecodeReportRequest(Encode(report)), report) << code;
  }
}

// Each case breaks one field of a good grant; the error must name the field, its place and the
// limit.
TEST(AgentMessages, GrantErrorsNameFieldPlaceAndLimit) {
  const auto error_after = [](auto&& change) {
    LeaseReply reply{samples::Grant()};
    change(*reply.grant);
    return MessageOf(DecodeLeaseReply(Encode(reply)));
  };
  EXPECT_EQ(
      error_after([](LeaseGrant& g) { g.requests[1].messages[0].role = "oracle"; }),
      "lease reply: grant: requests[1]: messages[0]: role: not one of system, user, assistant");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[2].messages[1].content = "\xC0\xAF"; }),
            "lease reply: grant: requests[2]: messages[1]: content: not UTF-8");
  EXPECT_EQ(error_after([](LeaseGrant& g) {
              g.requests[0].stop = {"a", "b", "c", "d", "e"};
            }),
            "lease reply: grant: requests[0]: stop: more than 4");
  EXPECT_EQ(error_after([](LeaseGrant& g) {
              g.requests[0].stop = {"a", ""};
            }),
            "lease reply: grant: requests[0]: stop[1]: empty");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[0].stop = {std::string(257, 'x')}; }),
            "lease reply: grant: requests[0]: stop[0]: 257 bytes; at most 256");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[0].messages.clear(); }),
            "lease reply: grant: requests[0]: messages: missing; at least one, or inputs");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[0].max_tokens = kMaxGeneratedTokens + 1; }),
            "lease reply: grant: requests[0]: max_tokens: 1048577; at most 1048576");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[0].sampling.temperature = 2.5f; }),
            "lease reply: grant: requests[0]: sampling: temperature: 2.5 is not within 0 and 2");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[0].sampling.top_p = 0.0f; }),
            "lease reply: grant: requests[0]: sampling: top_p: 0 is not above 0 and at most 1");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests[1].index = 3; }),
            "lease reply: grant: requests: index 3 twice");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.requests.clear(); }),
            "lease reply: grant: requests: missing; at least one");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.lease = LeaseId(); }),
            "lease reply: grant: lease_id: missing");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.job = JobId(std::string(300, 'x')); }),
            "lease reply: grant: job_id: 300 bytes; at most 256");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.model.model = ModelId("two words"); }),
            "lease reply: grant: model: model_id: has characters other than printable ASCII "
            "without spaces");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.model.size_bytes = 0; }),
            "lease reply: grant: model: size_bytes: missing");
  EXPECT_EQ(error_after([](LeaseGrant& g) { g.duration = {}; }),
            "lease reply: grant: duration_ms: 0 is not within 1 and 86400000");
}

TEST(AgentMessages, NotANumberIsNeverInRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  LeaseReply reply{samples::Grant()};
  reply.grant->requests[0].sampling.temperature = nan;
  EXPECT_THAT(MessageOf(DecodeLeaseReply(Encode(reply))), HasSubstr("temperature"));
  reply = {samples::Grant()};
  reply.grant->requests[0].sampling.top_p = nan;
  EXPECT_THAT(MessageOf(DecodeLeaseReply(Encode(reply))), HasSubstr("top_p"));
  ReleaseRequest release{.lease = LeaseId("l"), .reason = "", .status = samples::Status()};
  release.status.tokens_per_second = nan;
  EXPECT_THAT(MessageOf(DecodeReleaseRequest(Encode(release))), HasSubstr("tokens_per_second"));
}

TEST(AgentMessages, YieldTimesOutOfRangeAreRefused) {
  const auto error_after = [](auto&& change) {
    HeartbeatRequest heartbeat{.status = samples::Status()};
    change(*heartbeat.status.yields);
    return MessageOf(DecodeHeartbeatRequest(Encode(heartbeat)));
  };
  EXPECT_EQ(error_after([](YieldFigures& y) { y = {1, 0, kMaxYieldMs}; }), "no error");
  EXPECT_EQ(error_after([](YieldFigures& y) { y.count = 0; }),
            "heartbeat: status: yields: count: missing or 0");
  EXPECT_EQ(error_after([](YieldFigures& y) { y.p50_ms = -0.5; }),
            "heartbeat: status: yields: p50_ms: -0.5 is not within 0 and 600000");
  EXPECT_EQ(error_after([](YieldFigures& y) { y.p99_ms = 600'001; }),
            "heartbeat: status: yields: p99_ms: 600001 is not within 0 and 600000");
  EXPECT_EQ(error_after([](YieldFigures& y) { y.p99_ms = 8; }),
            "heartbeat: status: yields: p99_ms: 8 is below p50_ms, 8.25");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(error_after([&](YieldFigures& y) { y.p50_ms = nan; }), HasSubstr("p50_ms"));
  EXPECT_THAT(error_after([&](YieldFigures& y) { y.p99_ms = nan; }), HasSubstr("p99_ms"));
}

TEST(AgentMessages, AStatusOfAnAgentThatMeasuresNoYieldsHasNone) {
  HeartbeatRequest heartbeat{.status = samples::Status()};
  heartbeat.status.yields.reset();
  const auto decoded = DecodeHeartbeatRequest(Encode(heartbeat));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->status, heartbeat.status);
}

TEST(AgentMessages, ReportErrorsNameFieldPlaceAndLimit) {
  const auto error_after = [](auto&& change) {
    ReportRequest report{.lease = LeaseId("lease_1"),
                         .results = {samples::Finished(3, "att_a"), samples::Finished(4, "att_b")},
                         .status = samples::Status()};
    change(report);
    return MessageOf(DecodeReportRequest(Encode(report)));
  };
  EXPECT_EQ(error_after([](ReportRequest& r) { r.results[1].attempt = AttemptId(); }),
            "report: results[1]: attempt_id: missing");
  EXPECT_EQ(error_after([](ReportRequest& r) { r.results[1].state_digests.pop_back(); }),
            "report: results[1]: state_digests: 1 of them; 33 generated tokens have 2");
  EXPECT_EQ(error_after([](ReportRequest& r) { r.results[0].text = "\xED\xA0\x80"; }),
            "report: results[0]: text: not UTF-8");
  EXPECT_EQ(
      error_after([](ReportRequest& r) { r.results[0].text.assign(kMaxResultTextBytes + 1, 'x'); }),
      "report: results[0]: text: 8388609 bytes; at most 8388608");
  EXPECT_EQ(error_after(
                [](ReportRequest& r) { r.results.resize(kMaxResultsPerReport + 1, r.results[0]); }),
            "report: results: more than 1024");
}

// A reason may quote a library's or a worker's words; that must never make the call itself refused.
TEST(AgentMessages, WordsToPeopleAlwaysArrive) {
  ReleaseRequest release{
      .lease = LeaseId("l"), .reason = "it said \xFF\xFE", .status = samples::Status()};
  release.status.reason.assign(kMaxShortTextBytes - 1, 'x');
  release.status.reason += "é";
  const auto arrived = DecodeReleaseRequest(Encode(release));
  ASSERT_TRUE(arrived.has_value()) << arrived.error().message;
  EXPECT_EQ(arrived->reason, "it said ??");
  EXPECT_EQ(arrived->status.reason, std::string(kMaxShortTextBytes - 1, 'x'));
  ReportRequest report{
      .lease = LeaseId("l"), .results = {samples::Failed(1, "a")}, .status = samples::Status()};
  report.results[0].error->message.assign(2 * kMaxShortTextBytes, '\x80');
  const auto reported = DecodeReportRequest(Encode(report));
  ASSERT_TRUE(reported.has_value()) << reported.error().message;
  EXPECT_EQ(reported->results[0].error->message, std::string(kMaxShortTextBytes, '?'));
}

TEST(AgentMessages, EnrolmentChecksKeyTokenAndVersion) {
  const auto error_after = [](auto&& change) {
    EnrollRequest enroll{.protocol_version = 1,
                         .join_token = "t",
                         .public_key = Bytes(32),
                         .profile = samples::Profile()};
    change(enroll);
    return MessageOf(DecodeEnrollRequest(Encode(enroll)));
  };
  EXPECT_EQ(error_after([](EnrollRequest& e) { e.public_key.resize(31); }),
            "enroll request: public_key: 31 bytes; an Ed25519 key has 32");
  EXPECT_EQ(error_after([](EnrollRequest& e) { e.join_token.clear(); }),
            "enroll request: join_token: missing");
  EXPECT_EQ(error_after([](EnrollRequest& e) { e.protocol_version = 0; }),
            "enroll request: protocol_version: missing");
}

TEST(AgentMessages, WaitAndListsAreBounded) {
  LeaseRequest lease{
      .profile = samples::Profile(), .status = samples::Status(), .cached_models = {}};
  lease.wait = kMaxLeaseWait + std::chrono::milliseconds(1);
  EXPECT_EQ(MessageOf(DecodeLeaseRequest(Encode(lease))),
            "lease request: wait_ms: 60001; at most 60000");
  lease.wait = {};
  lease.cached_models.resize(kMaxCachedModelsListed + 1);
  EXPECT_EQ(MessageOf(DecodeLeaseRequest(Encode(lease))),
            "lease request: cached_model_digests: more than 1024");
  HeartbeatRequest heartbeat{.status = samples::Status(), .leases = {}, .progress = {}};
  heartbeat.leases.resize(kMaxLeasesPerDevice + 1, LeaseId("l"));
  EXPECT_EQ(MessageOf(DecodeHeartbeatRequest(Encode(heartbeat))),
            "heartbeat: lease_ids: more than 8");
}

TEST(AgentMessages, AnEmptyBodyIsAnErrorWhereFieldsAreDue) {
  EXPECT_THAT(MessageOf(DecodeEnrollRequest({})), HasSubstr("missing"));
  EXPECT_THAT(MessageOf(DecodeEnrollReply({})), HasSubstr("missing"));
  EXPECT_THAT(MessageOf(DecodeLeaseRequest({})), HasSubstr("profile: missing"));
  EXPECT_THAT(MessageOf(DecodeReportRequest({})), HasSubstr("missing"));
  EXPECT_THAT(MessageOf(DecodeReportReply({})), HasSubstr("missing"));
  EXPECT_THAT(MessageOf(DecodeHeartbeatRequest({})), HasSubstr("status: missing"));
  EXPECT_THAT(MessageOf(DecodeReleaseRequest({})), HasSubstr("missing"));
}

// Every prefix and every flipped byte of a good body decodes or fails; nothing else may happen.
TEST(AgentMessages, DamagedBodiesNeverDoMoreThanFail) {
  const Bytes good = Encode(LeaseReply{samples::Grant()});
  std::size_t failures = 0;
  for (std::size_t size = 0; size < good.size(); ++size) {
    failures += !DecodeLeaseReply(ByteView(good).first(size)).has_value();
  }
  EXPECT_EQ(failures, good.size() - 1);  // the empty body is a valid reply: no work
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const std::uint8_t bits : {0x01, 0x80, 0xFF}) {
      Bytes bad = good;
      bad[at] ^= bits;
      if (const auto reply = DecodeLeaseReply(bad)) {
        EXPECT_EQ(DecodeLeaseReply(Encode(*reply)), *reply);
      }
    }
  }
}

// Two bytes of an empty sub-message would cost the parser a hundred bytes of memory: refused before
// it is parsed.
TEST(AgentMessages, FloodsOfEmptyElementsAreRefusedBeforeParsing) {
  Bytes flood;
  for (int i = 0; i < 5000; ++i) flood.insert(flood.end(), {0x12, 0x00});  // results: {}
  EXPECT_EQ(MessageOf(DecodeReportRequest(flood)), "report: results: more than 1024");
  const Bytes once = Encode(LeaseReply{samples::Grant()});
  Bytes twice = once;  // the parser would merge the two grants
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(MessageOf(DecodeLeaseReply(twice)), "lease reply: grant: more than 1");
}

TEST(AgentMessages, BodiesAboveTheLimitAreNotParsed) {
  EXPECT_EQ(MessageOf(DecodeReleaseRequest(Bytes(kMaxAgentBodyBytes + 1))),
            "release: 67108865 bytes; at most 67108864");
}

TEST(AgentMessages, SignedTextHasOneLineForEachPart) {
  EXPECT_EQ(SignedText("POST", "/agent/v1/lease", 1763769600000, Sha256::Of(std::string_view(""))),
            "fallow-agent-v1\nPOST\n/agent/v1/lease\n1763769600000\n"
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(AgentMessages, StatesHaveTheirApiNames) {
  EXPECT_EQ(DeviceStateName(DeviceState::kIdle), "idle");
  EXPECT_EQ(DeviceStateName(DeviceState::kWorking), "working");
  EXPECT_EQ(DeviceStateName(DeviceState::kInUse), "in_use");
  EXPECT_EQ(DeviceStateName(DeviceState::kPaused), "paused");
  EXPECT_EQ(DeviceStateName(DeviceState::kFaulty), "faulty");
}

}  // namespace
}  // namespace fallow
