#include "agent/daemon/coordinator_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "platform/fake/clock.h"
#include "platform/fake/fake_http_client.h"
#include "platform/fake/fake_loop.h"
#include "tests/unit/agent/daemon/fake_key.h"

namespace fallow {
namespace {

using testing::HasSubstr;

struct Fixture {
  SimulatedClock clock;
  FakeLoop loop{clock};
  FakeHttpClient http{loop};
  FakeKey key;
  RequestSigner signer{key, clock, "https://c:8443", DeviceId("dev_7")};
  std::unique_ptr<CoordinatorClient> client = NewCoordinatorClient(http, signer);
  std::optional<Result<HeartbeatReply>> reply;
  CoordinatorClient::Call call;

  void Heartbeat() {
    reply.reset();
    call = client->Heartbeat({.status = {}, .leases = {}, .progress = {}},
                             [this](Result<HeartbeatReply> r) { reply = std::move(r); });
    loop.RunPending();
  }
  void Answer(int status, std::string_view body) {
    http.last().Answer(status, body);
    loop.RunPending();
  }
};

std::string HeaderOf(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(CoordinatorClient, SignsWhatItSends) {
  Fixture f;
  f.Heartbeat();
  const HttpRequest& request = f.http.last().request();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.url, "https://c:8443/agent/v1/heartbeat");
  EXPECT_EQ(HeaderOf(request, "Fallow-Device"), "dev_7");
  EXPECT_EQ(HeaderOf(request, "Fallow-Time"), std::to_string(UnixMs(f.clock.Wall())));
  EXPECT_EQ(HeaderOf(request, "Content-Type"), "application/x-protobuf");
  const std::string text = SignedText("POST", "/agent/v1/heartbeat", UnixMs(f.clock.Wall()),
                                      Sha256::Of(ByteView(request.body)));
  EXPECT_EQ(HeaderOf(request, "Fallow-Signature"), ToBase64(f.key.Sign(AsBytes(text))));
}

TEST(CoordinatorClient, TheSignedTimeFollowsTheCalendarClock) {
  Fixture f;
  f.clock.StepWall(std::chrono::hours(-2));
  f.Heartbeat();
  EXPECT_EQ(HeaderOf(f.http.last().request(), "Fallow-Time"),
            std::to_string(UnixMs(f.clock.Wall())));
}

TEST(CoordinatorClient, DecodesTheReply) {
  Fixture f;
  f.Heartbeat();
  const Bytes body = Encode(HeartbeatReply{{LeaseId("lease_3")}});
  f.Answer(200, AsText(body));
  ASSERT_TRUE(f.reply && f.reply->has_value());
  EXPECT_EQ((*f.reply)->ended_leases, std::vector{LeaseId("lease_3")});
}

TEST(CoordinatorClient, TellsUnreachableFromRefused) {
  struct Case {
    int status;
    ErrorCode code;
    bool transient;
  };
  for (const Case& c :
       {Case{401, ErrorCode::kUnauthenticated, false},
        Case{403, ErrorCode::kPermissionDenied, false}, Case{404, ErrorCode::kNotFound, false},
        Case{410, ErrorCode::kUnimplemented, false}, Case{400, ErrorCode::kInvalidArgument, false},
        Case{429, ErrorCode::kUnavailable, true}, Case{500, ErrorCode::kUnavailable, true},
        Case{503, ErrorCode::kUnavailable, true}}) {
    Fixture f;
    f.Heartbeat();
    f.Answer(c.status, R"({"error": {"message": "because", "code": "x"}})");
    ASSERT_TRUE(f.reply && !f.reply->has_value()) << c.status;
    EXPECT_EQ(f.reply->error().code, c.code) << c.status;
    EXPECT_EQ(IsTransient(f.reply->error()), c.transient) << c.status;
    EXPECT_THAT(f.reply->error().message, HasSubstr("because"));
  }
}

TEST(CoordinatorClient, AnUnknownDeviceIsToldHowToJoinAnew) {
  Fixture f;
  f.Heartbeat();
  f.Answer(401, R"({"error": {"message": "no such device"}})");
  EXPECT_THAT(f.reply->error().message, HasSubstr("fallow-agent join"));
}

TEST(CoordinatorClient, AClockThatIsOffLosesNoResults) {
  Fixture f;
  f.Heartbeat();
  f.Answer(401, R"({"error": {"message": "the clocks differ", "code": "stale_signature"}})");
  EXPECT_TRUE(IsTransient(f.reply->error()));
  EXPECT_THAT(f.reply->error().message, HasSubstr("the clocks differ"));
}

TEST(CoordinatorClient, ShowsNoControlCharactersOfTheCoordinator) {
  Fixture f;
  f.Heartbeat();
  f.Answer(503, R"({"error": {"message": "\u001b[2Jgone"}})");
  EXPECT_THAT(f.reply->error().message, HasSubstr("no reason given"));
}

TEST(CoordinatorClient, ReadsNoReasonFromAHugeErrorBody) {
  Fixture f;
  f.Heartbeat();
  f.Answer(503, R"({"error": {"message": "because"}})" + std::string(1 << 20, ' '));
  EXPECT_THAT(f.reply->error().message, HasSubstr("no reason given"));
}

TEST(CoordinatorClient, AStrangeErrorBodyIsNoReasonToFailDifferently) {
  for (const char* body :
       {"", "<html>", "[]", R"({"error": "x"})", R"({"error": {"message": 5}})", "\xFF\xFE"}) {
    Fixture f;
    f.Heartbeat();
    f.Answer(503, body);
    EXPECT_TRUE(IsTransient(f.reply->error()));
    EXPECT_THAT(f.reply->error().message, HasSubstr("503"));
  }
}

TEST(CoordinatorClient, AnAnswerThatIsNoMessageIsAnError) {
  Fixture f;
  f.Heartbeat();
  f.Answer(200, "\xFF\xFF\xFF");
  ASSERT_FALSE(f.reply->has_value());
  EXPECT_THAT(f.reply->error().message, HasSubstr("heartbeat reply"));
}

}  // namespace
}  // namespace fallow
