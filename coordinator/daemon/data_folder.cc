#include "coordinator/daemon/data_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "platform/file.h"
#include "platform/paths.h"

namespace fallow {
namespace {

constexpr int kAuthorityDays = 3650;
// Browsers and curl take server certificates of at most 398 days.
constexpr int kServerDays = 397;
constexpr std::chrono::days kRenewBefore{30};
constexpr std::size_t kAccountIdBytes = 12;

Result<std::optional<CertificateAndKey>> ReadPair(const std::string& certificate,
                                                  const std::string& key) {
  FALLOW_ASSIGN_OR_RETURN(const bool has_certificate, FileExists(certificate));
  FALLOW_ASSIGN_OR_RETURN(const bool has_key, FileExists(key));
  if (!has_certificate || !has_key) return std::nullopt;
  CertificateAndKey pair;
  FALLOW_ASSIGN_OR_RETURN(pair.certificate, ReadSmallFile(certificate));
  FALLOW_ASSIGN_OR_RETURN(pair.private_key, ReadSmallFile(key));
  return pair;
}

Result<CertificateAndKey> PrepareAuthority(const DataFolder& folder, WallTime now) {
  FALLOW_ASSIGN_OR_RETURN(const auto existing,
                          ReadPair(folder.authority_certificate(), folder.authority_key()));
  if (existing.has_value()) return *existing;
  FALLOW_ASSIGN_OR_RETURN(const auto made,
                          MakeCertificateAuthority("Fallow coordinator", now, kAuthorityDays));
  // The key first: a certificate without its key would be taken for a pair that lost its key.
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.authority_key(), made.private_key));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.authority_certificate(), made.certificate));
  LOG_INFO("coordinator: made a certificate authority file={}", folder.authority_certificate());
  return made;
}

std::string Lines(const std::vector<std::string>& hosts) {
  std::string text;
  for (const std::string& host : hosts) text += host + "\n";
  return text;
}

bool MayGoOn(const CertificateAndKey& server, WallTime now) {
  const auto expiry = CertificateExpiry(server.certificate);
  return expiry.has_value() && *expiry - now > kRenewBefore;
}

}  // namespace

Result<Certificates> PrepareCertificates(const DataFolder& folder,
                                         const std::vector<std::string>& hosts, WallTime now) {
  FALLOW_ASSIGN_OR_RETURN(const auto authority, PrepareAuthority(folder, now));
  FALLOW_ASSIGN_OR_RETURN(const auto existing,
                          ReadPair(folder.server_certificate(), folder.server_key()));
  const bool same_hosts = ReadSmallFile(folder.server_hosts()).value_or("") == Lines(hosts);
  if (existing.has_value() && same_hosts && MayGoOn(*existing, now))
    return Certificates{authority.certificate, *existing};

  FALLOW_ASSIGN_OR_RETURN(const auto made,
                          MakeServerCertificate(authority, hosts, now, kServerDays));
  // The hosts file vouches for the pair, so it goes first and comes back last.
  FALLOW_RETURN_IF_ERROR(RemoveFileIfAny(folder.server_hosts()));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.server_key(), made.private_key));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.server_certificate(), made.certificate));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.server_hosts(), Lines(hosts)));
  return Certificates{authority.certificate, made};
}

Result<OperatorKey> PrepareOperatorKey(const DataFolder& folder, KeyService& keys, Random& random) {
  FALLOW_ASSIGN_OR_RETURN(const auto all, keys.List());
  const bool has_operator = std::ranges::any_of(all, [](const ApiKey& key) {
    return key.role == Role::kOperator && !key.revoked_at.has_value();
  });
  if (has_operator) {
    const auto secret = ReadSmallFile(folder.operator_key());
    if (!secret.has_value()) return OperatorKey{};
    FALLOW_ASSIGN_OR_RETURN(const auto key, keys.Find(*secret));
    return key.has_value() ? OperatorKey{.secret = *secret} : OperatorKey{};
  }
  FALLOW_ASSIGN_OR_RETURN(const auto made,
                          keys.Create(AccountId("acct_" + random.Hex(kAccountIdBytes)),
                                      Role::kOperator, "first operator"));
  FALLOW_RETURN_IF_ERROR(WriteFileAtomically(folder.operator_key(), made.secret));
  return OperatorKey{.secret = made.secret};
}

}  // namespace fallow
