// /agent/v1: enrolment, and the signed calls of enrolled devices.

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "coordinator/api/artifact_stream.h"
#include "coordinator/api/context.h"
#include "coordinator/api/lease_polls.h"
#include "coordinator/api/rate_limit.h"
#include "coordinator/api/signed_call.h"
#include "protocol/agent_messages.h"
#include "protocol/limits.h"

namespace fallow::api {
namespace {

constexpr std::size_t kMaxEnrollBodyBytes = 64 << 10;
// An address may enrol a room full of devices at once, but not guess join tokens for long.
constexpr double kEnrollBurst = 20;
constexpr std::chrono::milliseconds kEnrollPace{3'000};

http::Response ProtobufResponse(const Bytes& body) {
  return {.status = 200,
          .headers = {{"content-type", "application/x-protobuf"}},
          .body = std::string(AsText(body))};
}

// "10.0.0.7:50412" without its port.
std::string PeerAddress(const std::string& peer) {
  return peer.substr(0, peer.rfind(':'));
}

void Enroll(DeviceService& devices, std::string_view body, http::Responder& responder) {
  const auto request = DecodeEnrollRequest(AsBytes(body));
  if (!request.has_value()) {
    responder.Send(http::ErrorResponse(request.error()));
    return;
  }
  if (request->protocol_version != kAgentProtocolVersion) {
    const bool old = request->protocol_version < kAgentProtocolVersion;
    responder.Send(http::ErrorResponse(
        {.status = old ? 410 : 400,
         .message = fmt::format(
             "The agent speaks protocol version {} and this coordinator {}; update the {}.",
             request->protocol_version, kAgentProtocolVersion, old ? "agent" : "coordinator"),
         .code = "protocol_version"}));
    return;
  }
  const auto device = devices.Enroll(*request);
  if (!device.has_value()) {
    responder.Send(http::ErrorResponse(device.error()));
    return;
  }
  LOG_INFO("agent api: enrolled device={} hostname=\"{}\"", device->id.value,
           device->profile.hostname);
  responder.Send(ProtobufResponse(Encode(EnrollReply{.device = device->id})));
}

using SignedHandler =
    std::function<void(const DeviceId&, ByteView body, std::shared_ptr<http::Responder>)>;

// A route whose body is checked against its signature before `handler` sees it.
http::RouteHandler Signed(Context& context, SignedHandler handler) {
  return [&context, handler = std::move(handler)](
             const http::Call& call,
             std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
    auto signed_call = SignedCall::Read(call.head, context.coordinator.devices(), context.clock);
    if (!signed_call.has_value()) {
      responder->Send(std::move(signed_call.error()));
      return nullptr;
    }
    return http::CollectBody(
        kMaxAgentBodyBytes, responder,
        [handler, signed_call = *std::move(signed_call), responder](const std::string& body) {
          if (auto refusal = signed_call.Verify(body)) {
            responder->Send(*std::move(refusal));
          } else {
            handler(signed_call.device, AsBytes(body), responder);
          }
        });
  };
}

// A signed call that decodes, asks a service and encodes.
template <class Decode, class Serve>
http::RouteHandler SignedCallTo(Context& context, Decode decode, Serve serve) {
  return Signed(context, [decode, serve](const DeviceId& device, ByteView body,
                                         const std::shared_ptr<http::Responder>& responder) {
    const auto request = decode(body);
    if (!request.has_value()) {
      responder->Send(http::ErrorResponse(request.error()));
      return;
    }
    const auto reply = serve(device, *request);
    if (!reply.has_value()) {
      responder->Send(http::ErrorResponse(reply.error()));
    } else {
      responder->Send(ProtobufResponse(*reply));
    }
  });
}

// Models are all that a device may read: other submitters' files are none of its business.
void SendModelArtifact(Context& context, const http::RequestHead& head, const std::string& name,
                       std::shared_ptr<http::Responder> responder) {
  const auto not_found = [&] {
    responder->Send(http::ErrorResponse({.status = 404,
                                         .message = fmt::format("There is no model file {}.", name),
                                         .code = "not_found"}));
  };
  const auto digest = Digest::FromHex(name);
  if (!digest.has_value()) return not_found();
  const auto models = context.coordinator.models().List();
  if (!models.has_value()) {
    responder->Send(http::ErrorResponse(models.error()));
    return;
  }
  if (std::ranges::find(*models, *digest, &Model::artifact) == models->end()) return not_found();
  auto reader = context.coordinator.artifacts().Open(*digest);
  if (!reader.has_value()) {
    responder->Send(http::ErrorResponse(reader.error()));
    return;
  }
  StreamArtifactRange(context.loop, *std::move(reader), *digest, head,
                      {{"content-type", "application/octet-stream"}}, std::move(responder));
}

}  // namespace

void AddAgentRoutes(http::Router& router, Context& context, LeasePolls& polls) {
  DeviceService& devices = context.coordinator.devices();
  LeaseService& leases = context.coordinator.leases();

  router.Add(
      "POST", "/agent/v1/enroll",
      [&context, &devices, limit = std::make_shared<RateLimit>(kEnrollBurst, kEnrollPace)](
          const http::Call& call,
          std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
        if (!limit->Allow(PeerAddress(call.head.peer), context.clock.Steady())) {
          http::Response refusal = http::ErrorResponse(
              {.status = 429,
               .message = "Too many enrolments from this address; try again in a few seconds.",
               .code = "rate_limited"});
          refusal.headers.emplace_back(
              "retry-after",
              std::to_string(std::chrono::ceil<std::chrono::seconds>(kEnrollPace).count()));
          responder->Send(std::move(refusal));
          return nullptr;
        }
        return http::CollectBody(
            kMaxEnrollBodyBytes, responder,
            [&devices, responder](const std::string& body) { Enroll(devices, body, *responder); });
      });

  router.Add("POST", "/agent/v1/lease",
             Signed(context, [&polls](const DeviceId& device, ByteView body,
                                      std::shared_ptr<http::Responder> responder) {
               auto request = DecodeLeaseRequest(body);
               if (!request.has_value()) {
                 responder->Send(http::ErrorResponse(request.error()));
               } else {
                 polls.Ask(device, *std::move(request), std::move(responder));
               }
             }));

  router.Add(
      "POST", "/agent/v1/report",
      SignedCallTo(context, DecodeReportRequest,
                   [&leases](const DeviceId& device, const ReportRequest& report) -> Result<Bytes> {
                     FALLOW_ASSIGN_OR_RETURN(const auto reply, leases.Report(device, report));
                     return Encode(reply);
                   }));
  router.Add(
      "POST", "/agent/v1/heartbeat",
      SignedCallTo(
          context, DecodeHeartbeatRequest,
          [&leases](const DeviceId& device, const HeartbeatRequest& heartbeat) -> Result<Bytes> {
            FALLOW_ASSIGN_OR_RETURN(const auto reply, leases.Heartbeat(device, heartbeat));
            return Encode(reply);
          }));
  router.Add("POST", "/agent/v1/release",
             SignedCallTo(
                 context, DecodeReleaseRequest,
                 [&leases](const DeviceId& device, const ReleaseRequest& release) -> Result<Bytes> {
                   FALLOW_RETURN_IF_ERROR(leases.Release(device, release));
                   return Bytes{};
                 }));

  router.Add(
      "GET", "/agent/v1/artifacts/{}",
      [&context](const http::Call& call,
                 std::shared_ptr<http::Responder> responder) -> std::unique_ptr<http::BodySink> {
        const auto signed_call =
            SignedCall::Read(call.head, context.coordinator.devices(), context.clock);
        if (!signed_call.has_value()) {
          responder->Send(signed_call.error());
        } else if (auto refusal = signed_call->Verify("")) {
          responder->Send(*std::move(refusal));
        } else {
          SendModelArtifact(context, call.head, call.captures[0], std::move(responder));
        }
        return nullptr;
      });
}

}  // namespace fallow::api
