#include "coordinator/api/signed_call.h"

#include <fmt/format.h>

#include <charconv>

#include "base/encoding.h"
#include "coordinator/http/error_response.h"
#include "platform/keystore.h"
#include "protocol/agent_messages.h"
#include "protocol/limits.h"

namespace fallow::api {
namespace {

constexpr std::size_t kSignatureBytes = 64;

http::Response Refusal(std::string message, std::string code) {
  return http::ErrorResponse(
      {.status = 401, .message = std::move(message), .code = std::move(code)});
}

}  // namespace

std::expected<SignedCall, http::Response> SignedCall::Read(const http::RequestHead& head,
                                                           DeviceService& devices,
                                                           const Clock& clock) {
  SignedCall call;
  call.device = DeviceId(std::string(head.Header("fallow-device")));
  const std::string_view time = head.Header("fallow-time");
  const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), call.unix_ms);
  auto signature = FromBase64(head.Header("fallow-signature"));
  if (call.device.empty() || error != std::errc() || end != time.data() + time.size() ||
      !signature.has_value() || signature->size() != kSignatureBytes)
    return std::unexpected(
        Refusal("This call must carry Fallow-Device, Fallow-Time (Unix milliseconds) and "
                "Fallow-Signature (Base64).",
                "missing_signature"));

  const auto device = devices.Find(call.device);
  if (!device.has_value()) return std::unexpected(http::ErrorResponse(device.error()));
  if (!device->has_value())
    return std::unexpected(
        Refusal(fmt::format("The device {} is not enrolled here; enrol anew.", call.device.value),
                "unknown_device"));

  // A time near the ends of the range must not overflow the difference.
  const std::int64_t now = UnixMs(clock.Wall()), allowed = kMaxSignatureAge.count();
  if (call.unix_ms < now - allowed || call.unix_ms > now + allowed)
    return std::unexpected(Refusal(
        fmt::format(
            "The device's clock says {} ms and the coordinator's {} ms; they may differ by {} s.",
            call.unix_ms, now, allowed / 1000),
        "stale_signature"));

  call.public_key = (*device)->public_key;
  call.signature = *std::move(signature);
  call.method = head.method;
  call.path_and_query =
      head.query.empty() ? head.path : fmt::format("{}?{}", head.path, head.query);
  return call;
}

std::optional<http::Response> SignedCall::Verify(std::string_view body) const {
  const std::string text = SignedText(method, path_and_query, unix_ms, Sha256::Of(body));
  if (VerifySignature(public_key, AsBytes(text), signature)) return std::nullopt;
  return Refusal(
      fmt::format("The signature is not that of the device {} for this call.", device.value),
      "wrong_signature");
}

}  // namespace fallow::api
