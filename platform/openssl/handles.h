// Owning handles and PEM texts of OpenSSL objects. For files of platform/openssl alone.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fallow::openssl {

template <auto free_function>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    free_function(object);
  }
};

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Context = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Deleter<SSL_free>>;

// kInternal: `what` and the reason that OpenSSL queued last. Empties the queue.
Error LastError(std::string_view what);
void ForgetErrors();

Result<std::string> PrivateKeyPem(EVP_PKEY* key);
// Null if there is none. Never asks for a pass phrase.
Key ReadPrivateKey(std::string_view pem);

}  // namespace fallow::openssl
