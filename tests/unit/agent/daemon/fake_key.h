// A signing key whose signatures are digests of the message.
#pragma once

#include "base/digest.h"
#include "platform/keystore.h"

namespace fallow {

class FakeKey : public SigningKey {
 public:
  Bytes public_key() const override { return Bytes(32, 0x11); }
  Bytes Sign(ByteView message) const override {
    const Digest digest = Sha256::Of(message);
    Bytes signature(digest.bytes.begin(), digest.bytes.end());
    signature.resize(64);
    return signature;
  }
};

}  // namespace fallow
