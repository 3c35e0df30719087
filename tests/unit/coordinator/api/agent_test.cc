#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/api/api_world.h"

namespace fallow::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

Bytes LeaseBody(std::chrono::milliseconds wait) {
  LeaseRequest request;
  request.profile.hostname = "desk";
  request.max_request_count = 100;
  request.wait = wait;
  return Encode(request);
}

// The device's call for a lease on a connection of its own.
void AskForLease(Client& client, SigningDevice& device, const Bytes& body) {
  client.Send("POST", "/agent/v1/lease", device.Sign("POST", "/agent/v1/lease", AsText(body)),
              AsText(body));
}

LeaseReply TakeLease(const Reply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  return DecodeLeaseReply(AsBytes(reply.body)).value_or(LeaseReply{});
}

TEST(AgentApi, EnrolsWithTheJoinTokenAndRefusesAnother) {
  ApiWorld world;
  const SigningDevice device(world);
  EXPECT_THAT(device.id.value, ::testing::StartsWith("dev_"));
  EnrollRequest wrong;
  wrong.join_token = "guess";
  wrong.public_key = Bytes(32, 7);
  const Bytes body = Encode(wrong);
  EXPECT_EQ(world.client->Ask("POST", "/agent/v1/enroll", {}, AsText(body)).status, 401);
  EXPECT_EQ(world.client->Ask("POST", "/agent/v1/enroll", {}, "garbage").status, 400);
}

TEST(AgentApi, SlowsDownAnAddressThatKeepsEnrolling) {
  ApiWorld world;
  Reply reply;
  for (int i = 0; i < 30 && reply.status != 429; ++i)
    reply = world.client->Ask("POST", "/agent/v1/enroll", {}, "x");
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.Header("retry-after"), "3");
  world.clock.Advance(4s);
  EXPECT_EQ(world.client->Ask("POST", "/agent/v1/enroll", {}, "x").status, 400);
}

TEST(AgentApi, TellsANewerAgentThatTheCoordinatorIsOld) {
  ApiWorld world;
  EnrollRequest newer;
  newer.protocol_version = kAgentProtocolVersion + 1;
  newer.join_token = *world.coordinator->devices().JoinToken();
  newer.public_key = Bytes(32, 7);
  const Bytes body = Encode(newer);
  const Reply reply = world.client->Ask("POST", "/agent/v1/enroll", {}, AsText(body));
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("update the coordinator"));
}

TEST(AgentApi, BelievesOnlyWhatTheDevicesKeySignedForThisCallNow) {
  ApiWorld world;
  SigningDevice device(world);
  const std::string path = "/agent/v1/lease";
  const Bytes body = LeaseBody(0ms);
  EXPECT_EQ(device.Ask("POST", path, body).status, 200);

  EXPECT_EQ(world.client->Ask("POST", path, {}, AsText(body)).status, 401);
  Headers other_path = device.Sign("POST", "/agent/v1/report", AsText(body));
  EXPECT_EQ(world.client->Ask("POST", path, other_path, AsText(body)).status, 401);
  Headers other_body = device.Sign("POST", path, "other");
  EXPECT_THAT(world.client->Ask("POST", path, other_body, AsText(body)).body,
              HasSubstr("wrong_signature"));
  Headers unknown = device.Sign("POST", path, AsText(body));
  unknown[0].second = "dev_unknown";
  EXPECT_THAT(world.client->Ask("POST", path, unknown, AsText(body)).body,
              HasSubstr("unknown_device"));
  Headers far = device.Sign("POST", path, AsText(body));
  far[1].second = "9223372036854775807";
  EXPECT_THAT(world.client->Ask("POST", path, far, AsText(body)).body,
              HasSubstr("stale_signature"));

  device.clock_error_ms = 299'000;
  EXPECT_EQ(device.Ask("POST", path, body).status, 200);
  device.clock_error_ms = -301'000;
  EXPECT_THAT(device.Ask("POST", path, body).body, HasSubstr("stale_signature"));
}

TEST(AgentApi, AnswersALeaseAtOnceWhenThereIsWork) {
  ApiWorld world;
  SigningDevice device(world);
  world.Submit(BatchText(3));
  const LeaseReply reply = TakeLease(device.Ask("POST", "/agent/v1/lease", LeaseBody(60s)));
  ASSERT_TRUE(reply.grant.has_value());
  EXPECT_EQ(reply.grant->requests.size(), 3u);
}

TEST(AgentApi, WakesAWaitingAgentWhenWorkAppears) {
  ApiWorld world;
  SigningDevice device(world);
  EXPECT_EQ(device.Ask("POST", "/agent/v1/lease", LeaseBody(60s)).status, 0);
  world.Submit(BatchText(2));
  world.loop.RunPending();
  EXPECT_TRUE(TakeLease(world.client->Take()).grant.has_value());
}

TEST(AgentApi, SaysThereIsNoWorkAfterTheWait) {
  ApiWorld world;
  SigningDevice device(world);
  EXPECT_EQ(device.Ask("POST", "/agent/v1/lease", LeaseBody(20s)).status, 0);
  world.loop.Advance(19s);
  EXPECT_EQ(world.client->Take().status, 0);
  world.loop.Advance(2s);
  EXPECT_FALSE(TakeLease(world.client->Take()).grant.has_value());
}

// A client that has gone must not be leased a shard that nobody will run.
TEST(AgentApi, LeasesNothingToAnAgentThatHasGone) {
  ApiWorld world;
  SigningDevice device(world);
  Client leaver(world.loop, *world.api);
  AskForLease(leaver, device, LeaseBody(60s));
  leaver.Leave();
  world.Submit(BatchText(2));
  world.loop.RunPending();
  EXPECT_EQ(world.coordinator->leases().Live()->size(), 0u);
}

// A connection may break without a word; its device asks again on another.
TEST(AgentApi, LeasesToADevicesNewestCallAlone) {
  ApiWorld world;
  SigningDevice device(world);
  Client broken(world.loop, *world.api);
  AskForLease(broken, device, LeaseBody(60s));
  EXPECT_EQ(device.Ask("POST", "/agent/v1/lease", LeaseBody(60s)).status, 0);
  world.Submit(BatchText(2));
  world.loop.RunPending();
  EXPECT_FALSE(TakeLease(broken.Take()).grant.has_value());
  EXPECT_TRUE(TakeLease(world.client->Take()).grant.has_value());
}

TEST(AgentApi, BelievesAHeartbeatOverTheOlderCallThatWaits) {
  ApiWorld world;
  SigningDevice device(world);
  Client waiting(world.loop, *world.api);
  LeaseRequest request;
  request.status = {.state = DeviceState::kIdle, .reason = "away", .tokens_per_second = 5};
  request.max_request_count = 0;  // it is offered work and takes none
  request.wait = 60s;
  AskForLease(waiting, device, Encode(request));
  HeartbeatRequest heartbeat;
  heartbeat.status = {.state = DeviceState::kInUse, .reason = "back", .tokens_per_second = 7};
  EXPECT_EQ(device.Ask("POST", "/agent/v1/heartbeat", Encode(heartbeat)).status, 200);
  world.Submit(BatchText(2));
  world.loop.RunPending();
  EXPECT_EQ((*world.coordinator->devices().Find(device.id))->status, heartbeat.status);
}

// Forty agents wait for three requests; each that gets work gets it once, and nobody is left
// hanging.
TEST(AgentApi, SharesScarceWorkAmongManyWaitingAgents) {
  ApiWorld world;
  std::vector<std::unique_ptr<SigningDevice>> devices;
  std::vector<std::unique_ptr<Client>> clients;
  LeaseRequest one;
  one.max_request_count = 1;
  one.wait = 30s;
  const Bytes body = Encode(one);
  for (int i = 0; i < 40; ++i) {
    world.clock.Advance(3s);  // as fast as an address may enrol
    devices.push_back(std::make_unique<SigningDevice>(world));
  }
  for (const auto& device : devices) {
    clients.push_back(std::make_unique<Client>(world.loop, *world.api));
    clients.back()->Send("POST", "/agent/v1/lease",
                         device->Sign("POST", "/agent/v1/lease", AsText(body)), AsText(body));
  }
  world.Submit(BatchText(3));
  world.loop.RunPending();
  int granted = 0;
  for (const auto& client : clients) granted += client->Take().status == 200 ? 1 : 0;
  EXPECT_EQ(granted, 3);
  world.api->Stop();
  world.loop.RunPending();
  for (const auto& client : clients) EXPECT_EQ(client->Take().status, 200);
}

TEST(AgentApi, TakesReportsHeartbeatsAndReleases) {
  ApiWorld world;
  SigningDevice device(world);
  const Job job = world.Submit(BatchText(2));
  const auto grant = *TakeLease(device.Ask("POST", "/agent/v1/lease", LeaseBody(0ms))).grant;
  ReportRequest report;
  report.lease = grant.lease;
  report.results = {HonestResult(grant, grant.requests[0])};
  const Reply reported = device.Ask("POST", "/agent/v1/report", Encode(report));
  EXPECT_TRUE(DecodeReportReply(AsBytes(reported.body))->lease_live);
  EXPECT_EQ(world.Look(job.id).counts.completed, 1u);

  HeartbeatRequest heartbeat;
  heartbeat.leases = {grant.lease, LeaseId("lease_gone")};
  const Reply beaten = device.Ask("POST", "/agent/v1/heartbeat", Encode(heartbeat));
  EXPECT_THAT(DecodeHeartbeatReply(AsBytes(beaten.body))->ended_leases,
              ::testing::ElementsAre(LeaseId("lease_gone")));

  ReleaseRequest release;
  release.lease = grant.lease;
  EXPECT_EQ(device.Ask("POST", "/agent/v1/release", Encode(release)).status, 200);
  EXPECT_EQ(world.coordinator->leases().Live()->size(), 0u);
}

struct ArtifactFixture : ApiWorld {
  ArtifactFixture() : device(*this) {
    auto writer = *artifacts->Create();
    EXPECT_TRUE(writer->Write(AsBytes(content)).has_value());
    digest = writer->Finish()->digest;
    Model model;
    model.id = ModelId("stored");
    model.artifact = digest;
    model.card_json = "{}";
    EXPECT_TRUE(store->AddModel(model).has_value());
  }
  Reply Get(const Headers& headers = {}) {
    return device.Ask("GET", "/agent/v1/artifacts/" + digest.Hex(), {}, headers);
  }

  const std::string content = "0123456789";
  Digest digest;
  SigningDevice device;
};

TEST(AgentApi, SendsModelFilesWholeAndInRanges) {
  ArtifactFixture f;
  const Reply whole = f.Get();
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, f.content);
  EXPECT_EQ(whole.Header("accept-ranges"), "bytes");
  const std::string etag = whole.Header("etag");
  EXPECT_EQ(etag, '"' + f.digest.Hex() + '"');

  const auto part = [&](const std::string& range) { return f.Get({{"range", range}}); };
  EXPECT_EQ(part("bytes=4-").status, 206);
  EXPECT_EQ(part("bytes=4-").body, "456789");
  EXPECT_EQ(part("bytes=4-").Header("content-range"), "bytes 4-9/10");
  EXPECT_EQ(part("bytes=2-3").body, "23");
  EXPECT_EQ(part("bytes=2-300").body, "23456789");
  EXPECT_EQ(part("bytes=-3").body, "789");
  EXPECT_EQ(part("bytes=-300").body, f.content);
  EXPECT_EQ(part("bytes=10-").status, 416);
  EXPECT_EQ(part("bytes=10-").Header("content-range"), "bytes */10");
  EXPECT_EQ(part("bytes=-0").status, 416);
  for (const char* ignored : {"bytes=3-2", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=-",
                              "bytes=99999999999999999999-"})
    EXPECT_EQ(part(ignored).status, 200) << ignored;

  EXPECT_EQ(f.Get({{"range", "bytes=4-"}, {"if-range", etag}}).status, 206);
  EXPECT_EQ(f.Get({{"range", "bytes=4-"}, {"if-range", "\"other\""}}).status, 200);
}

TEST(AgentApi, SendsDevicesNoFilesButModels) {
  ArtifactFixture f;
  const auto upload = f.Upload(BatchText(1));
  ASSERT_TRUE(upload.has_value());
  EXPECT_EQ(f.device.Ask("GET", "/agent/v1/artifacts/" + upload->artifact.Hex()).status, 404);
  EXPECT_EQ(f.device.Ask("GET", "/agent/v1/artifacts/xyz").status, 404);
  EXPECT_EQ(f.client->Ask("GET", "/agent/v1/artifacts/" + f.digest.Hex()).status, 401);
}

}  // namespace
}  // namespace fallow::api
