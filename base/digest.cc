#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"

namespace fallow {

std::optional<Digest> Digest::FromHex(std::string_view hex) {
  const auto bytes = fallow::FromHex(hex);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  Digest digest;
  std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
  return digest;
}

std::string Digest::Hex() const {
  return ToHex(bytes);
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  FALLOW_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(ByteView bytes) {
  FALLOW_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::Finish() {
  Digest digest;
  unsigned size = 0;
  FALLOW_CHECK(EVP_DigestFinal_ex(state_->context, digest.bytes.data(), &size) == 1 && size == 32);
  FALLOW_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
  return digest;
}

Digest Sha256::Of(ByteView bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

}  // namespace fallow
