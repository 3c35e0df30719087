#include "platform/keystore.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "platform/openssl/handles.h"
#include "platform/os.h"
#include "platform/paths.h"

namespace fallow {
namespace {

constexpr std::size_t kPublicKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;

class Ed25519SigningKey : public SigningKey {
 public:
  explicit Ed25519SigningKey(openssl::Key key) : key_(std::move(key)) {}

  Bytes public_key() const override {
    Bytes bytes(kPublicKeyBytes);
    std::size_t size = bytes.size();
    FALLOW_CHECK(EVP_PKEY_get_raw_public_key(key_.get(), bytes.data(), &size) == 1);
    return bytes;
  }

  Bytes Sign(ByteView message) const override {
    const openssl::DigestContext context(EVP_MD_CTX_new());
    Bytes signature(kSignatureBytes);
    std::size_t size = signature.size();
    FALLOW_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
    FALLOW_CHECK(EVP_DigestSign(context.get(), signature.data(), &size, message.data(),
                                message.size()) == 1);
    return signature;
  }

 private:
  openssl::Key key_;
};

Result<openssl::Key> MakeKeyFile(const std::string& path) {
  openssl::Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (key == nullptr) return std::unexpected(openssl::LastError("cannot make a device key"));
  FALLOW_ASSIGN_OR_RETURN(const std::string pem, openssl::PrivateKeyPem(key.get()));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(path, pem));
  return key;
}

Result<openssl::Key> ReadKeyFile(const std::string& path, const std::string& pem) {
  FALLOW_RETURN_IF_ERROR(os::CheckIsPrivate(path));
  openssl::Key key = openssl::ReadPrivateKey(pem);
  if (key == nullptr || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return Fail(ErrorCode::kDataLoss,
                path +
                    " does not hold an Ed25519 private key: restore it, or remove it to become "
                    "a new device");
  }
  return key;
}

}  // namespace

Result<std::unique_ptr<SigningKey>> LoadOrMakeSigningKey(const std::string& path) {
  const Result<std::string> pem = ReadSmallFile(path);
  if (!pem && pem.error().code != ErrorCode::kNotFound) return std::unexpected(pem.error());
  Result<openssl::Key> key = pem ? ReadKeyFile(path, *pem) : MakeKeyFile(path);
  if (!key) return std::unexpected(key.error());
  return std::make_unique<Ed25519SigningKey>(*std::move(key));
}

bool VerifySignature(ByteView public_key, ByteView message, ByteView signature) {
  if (public_key.size() != kPublicKeyBytes || signature.size() != kSignatureBytes) return false;
  const openssl::Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const openssl::DigestContext context(EVP_MD_CTX_new());
  const bool valid =
      key != nullptr && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  openssl::ForgetErrors();
  return valid;
}

}  // namespace fallow
