#include "platform/openssl/handles.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace fallow::openssl {
namespace {

int NoPassPhrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

Error LastError(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return {ErrorCode::kInternal,
          fmt::format("{}: {}", what, reason != nullptr ? reason : "no reason given")};
}

void ForgetErrors() {
  ERR_clear_error();
}

Result<std::string> PrivateKeyPem(EVP_PKEY* key) {
  const Memory memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || PEM_write_bio_PKCS8PrivateKey(memory.get(), key, nullptr, nullptr, 0,
                                                         nullptr, nullptr) != 1) {
    return std::unexpected(LastError("cannot write a private key"));
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Key ReadPrivateKey(std::string_view pem) {
  const Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, NoPassPhrase, nullptr));
  ERR_clear_error();
  return key;
}

}  // namespace fallow::openssl
