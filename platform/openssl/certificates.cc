// The certificates of platform/tls.h.
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "platform/openssl/handles.h"
#include "platform/tls.h"

namespace fallow {
namespace {

using openssl::Certificate;
using openssl::Key;
using openssl::LastError;

// Clocks of devices lag behind: a certificate made now must be valid there too.
constexpr std::chrono::hours kClockSkew{24};
constexpr std::size_t kSerialBytes = 16;
constexpr std::size_t kMaxNameBytes = 64;   // X.520's limit of a common name
constexpr std::size_t kMaxHostBytes = 253;  // a DNS name

using GeneralNames = std::unique_ptr<GENERAL_NAMES, openssl::Deleter<GENERAL_NAMES_free>>;
using GeneralName = std::unique_ptr<GENERAL_NAME, openssl::Deleter<GENERAL_NAME_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, openssl::Deleter<X509_EXTENSION_free>>;
using BigNumber = std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>>;

Result<Certificate> ReadCertificate(std::string_view pem) {
  const openssl::Memory memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
  openssl::ForgetErrors();
  if (certificate == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "this is not a certificate in PEM form");
  }
  return certificate;
}

Result<std::string> CertificatePem(X509* certificate) {
  const openssl::Memory memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || PEM_write_bio_X509(memory.get(), certificate) != 1) {
    return std::unexpected(LastError("cannot write a certificate"));
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

bool SetRandomSerial(X509* certificate) {
  std::uint8_t bytes[kSerialBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7f) | 0x40);  // positive and of full length
  const BigNumber number(BN_bin2bn(bytes, sizeof(bytes), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetName(X509_NAME* name, std::string_view common_name) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

// `value` is a constant of ours: this OpenSSL call reads a small language.
bool AddExtension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Version, serial, subject, validity and key: what both kinds of certificate have.
Result<Certificate> Prepare(std::string_view common_name, EVP_PKEY* key, WallTime now, int days) {
  Certificate certificate(X509_new());
  const std::time_t start = UnixSeconds(now - kClockSkew);
  const std::time_t end = UnixSeconds(now + std::chrono::days(days));
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetRandomSerial(certificate.get()) ||
      !SetName(X509_get_subject_name(certificate.get()), common_name) ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), start) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), end) == nullptr ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return std::unexpected(LastError("cannot prepare a certificate"));
  }
  return certificate;
}

Result<Key> MakeKey() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (key == nullptr) return std::unexpected(LastError("cannot make a P-256 key"));
  return key;
}

Result<CertificateAndKey> Finish(X509* certificate, EVP_PKEY* key, EVP_PKEY* issuer_key) {
  if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0) {
    return std::unexpected(LastError("cannot sign a certificate"));
  }
  CertificateAndKey made;
  FALLOW_ASSIGN_OR_RETURN(made.certificate, CertificatePem(certificate));
  FALLOW_ASSIGN_OR_RETURN(made.private_key, openssl::PrivateKeyPem(key));
  return made;
}

Status CheckDays(int days) {
  constexpr int kMaxDays = 100 * 366;
  if (days >= 1 && days <= kMaxDays) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("a certificate cannot be valid for {} days: 1 to {}", days, kMaxDays));
}

bool IsHostName(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes && host.front() != '.' &&
         std::ranges::all_of(host, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

Result<GeneralName> MakeAlternativeName(const std::string& host) {
  GeneralName name(GENERAL_NAME_new());
  if (name == nullptr) return std::unexpected(LastError("cannot name a host"));
  if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str()); address != nullptr) {
    GENERAL_NAME_set0_value(name.get(), GEN_IPADD, address);
    return name;
  }
  openssl::ForgetErrors();
  if (!IsHostName(host)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is neither a host name nor an IP address", host));
  }
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (text == nullptr || ASN1_STRING_set(text, host.data(), static_cast<int>(host.size())) != 1) {
    ASN1_IA5STRING_free(text);
    return std::unexpected(LastError("cannot name a host"));
  }
  GENERAL_NAME_set0_value(name.get(), GEN_DNS, text);
  return name;
}

Status AddAlternativeNames(X509* certificate, const std::vector<std::string>& hosts) {
  const GeneralNames names(GENERAL_NAMES_new());
  for (const std::string& host : hosts) {
    FALLOW_ASSIGN_OR_RETURN(GeneralName name, MakeAlternativeName(host));
    if (names == nullptr || sk_GENERAL_NAME_push(names.get(), name.get()) <= 0) {
      return std::unexpected(LastError("cannot name the hosts"));
    }
    (void)name.release();  // the stack's now
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) !=
      1) {
    return std::unexpected(LastError("cannot name the hosts"));
  }
  return {};
}

}  // namespace

Result<CertificateAndKey> MakeCertificateAuthority(std::string_view common_name, WallTime now,
                                                   int days) {
  FALLOW_RETURN_IF_ERROR(CheckDays(days));
  if (common_name.empty() || common_name.size() > kMaxNameBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("an authority's name has 1 to {} bytes, not {}", kMaxNameBytes,
                            common_name.size()));
  }
  FALLOW_ASSIGN_OR_RETURN(const Key key, MakeKey());
  FALLOW_ASSIGN_OR_RETURN(const Certificate made, Prepare(common_name, key.get(), now, days));
  X509* certificate = made.get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
      !AddExtension(certificate, certificate, NID_basic_constraints,
                    "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(certificate, certificate, NID_ext_key_usage, "serverAuth") ||
      !AddExtension(certificate, certificate, NID_subject_key_identifier, "hash")) {
    return std::unexpected(LastError("cannot describe a certificate authority"));
  }
  return Finish(certificate, key.get(), key.get());
}

Result<CertificateAndKey> MakeServerCertificate(const CertificateAndKey& authority,
                                                const std::vector<std::string>& hosts, WallTime now,
                                                int days) {
  FALLOW_RETURN_IF_ERROR(CheckDays(days));
  if (hosts.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "a server certificate needs a host name or address");
  }
  FALLOW_ASSIGN_OR_RETURN(const Certificate issuer, ReadCertificate(authority.certificate));
  const Key issuer_key = openssl::ReadPrivateKey(authority.private_key);
  if (issuer_key == nullptr || X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    openssl::ForgetErrors();
    return Fail(ErrorCode::kInvalidArgument,
                "the authority's private key does not belong to its certificate");
  }
  FALLOW_ASSIGN_OR_RETURN(const Key key, MakeKey());
  FALLOW_ASSIGN_OR_RETURN(
      const Certificate made,
      Prepare(hosts[0].size() <= kMaxNameBytes ? hosts[0] : "fallow server", key.get(), now, days));
  X509* certificate = made.get();
  FALLOW_RETURN_IF_ERROR(AddAlternativeNames(certificate, hosts));
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get())) != 1 ||
      !AddExtension(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(certificate, issuer.get(), NID_ext_key_usage, "serverAuth") ||
      !AddExtension(certificate, issuer.get(), NID_subject_key_identifier, "hash") ||
      !AddExtension(certificate, issuer.get(), NID_authority_key_identifier, "keyid:always")) {
    return std::unexpected(LastError("cannot describe a server certificate"));
  }
  return Finish(certificate, key.get(), issuer_key.get());
}

Result<Digest> CertificatePin(std::string_view certificate_pem) {
  FALLOW_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(certificate_pem));
  std::uint8_t* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return std::unexpected(LastError("cannot write a certificate"));
  const Digest digest = Sha256::Of(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return digest;
}

Result<WallTime> CertificateExpiry(std::string_view certificate_pem) {
  FALLOW_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(certificate_pem));
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1) {
    openssl::ForgetErrors();
    return Fail(ErrorCode::kInvalidArgument, "the certificate's end of validity is no time");
  }
  const std::chrono::sys_days day =
      std::chrono::year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday;
  return WallTime(day + std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
                  std::chrono::seconds(parts.tm_sec));
}

}  // namespace fallow
