// Signed HTTP requests of an enrolled device (docs/PROTOCOL.md).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "platform/http_client.h"
#include "platform/keystore.h"

namespace fallow {

class RequestSigner {
 public:
  // `key` and `clock` must outlive the signer.
  RequestSigner(const SigningKey& key, const Clock& clock, std::string coordinator_url,
                DeviceId device)
      : key_(key),
        clock_(clock),
        coordinator_url_(std::move(coordinator_url)),
        device_(std::move(device)) {}

  HttpRequest Post(std::string_view path, Bytes body) const {
    return Make("POST", path, std::move(body));
  }
  HttpRequest Get(std::string_view path) const { return Make("GET", path, {}); }

 private:
  HttpRequest Make(std::string_view method, std::string_view path, Bytes body) const;

  const SigningKey& key_;
  const Clock& clock_;
  std::string coordinator_url_;
  DeviceId device_;
};

inline bool IsSuccess(const HttpReply& reply) {
  return reply.status >= 200 && reply.status < 300;
}

// The error of a reply that is not 2xx, from its status and error body.
//   kUnavailable: overloaded or restarting, try again; kUnauthenticated: the device is not (or no
//   longer) known; kUnimplemented: this agent is too old; anything else: refused for good.
Error ErrorOfReply(const HttpReply& reply);

// Whether the same call may succeed later.
bool IsTransient(const Error& error);

}  // namespace fallow
