// The signature of an agent's call (docs/PROTOCOL.md): which device it names, and whether its key
// signed this call now.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/digest.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/http/server.h"

namespace fallow::api {

// What the head says, checked as far as the head goes: the device is enrolled and the time is near.
struct SignedCall {
  DeviceId device;
  Bytes public_key;
  std::int64_t unix_ms = 0;
  Bytes signature;
  std::string method;
  std::string path_and_query;

  static std::expected<SignedCall, http::Response> Read(const http::RequestHead& head,
                                                        DeviceService& devices, const Clock& clock);
  // The reply that refuses the call if the signature is not the device's for this body.
  std::optional<http::Response> Verify(std::string_view body) const;
};

}  // namespace fallow::api
