// The device's Ed25519 key (RFC 8032), by OpenSSL.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

class SigningKey {
 public:
  virtual ~SigningKey() = default;
  virtual Bytes public_key() const = 0;            // 32 bytes
  virtual Bytes Sign(ByteView message) const = 0;  // 64 bytes
};

// Reads the key at `path`, or makes one there (0600) if there is none.
Result<std::unique_ptr<SigningKey>> LoadOrMakeSigningKey(const std::string& path);

bool VerifySignature(ByteView public_key, ByteView message, ByteView signature);

}  // namespace fallow
