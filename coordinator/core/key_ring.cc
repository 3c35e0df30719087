#include "coordinator/core/key_ring.h"

#include <fmt/format.h>

#include <utility>

#include "base/encoding.h"
#include "coordinator/core/limits.h"
#include "coordinator/core/utf8.h"

namespace fallow {
namespace {

constexpr std::string_view kSecretPrefix = "sk-fallow-";
constexpr std::size_t kSecretBytes = 32;
// Of the secret, shown to recognise it by: the fixed part and four characters.
constexpr std::size_t kShownCharacters = kSecretPrefix.size() + 4;

}  // namespace

Result<KeyService::NewKey> KeyRing::Create(const AccountId& account, Role role, std::string name) {
  if (account.empty() || account.value.size() > kMaxAccountBytes || !IsUtf8(account.value)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("account must have 1 to {} bytes", kMaxAccountBytes));
  }
  if (name.size() > kMaxKeyNameBytes || !IsUtf8(name)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("name must have at most {} bytes", kMaxKeyNameBytes));
  }
  Bytes secret(kSecretBytes);
  random_.Fill(secret);
  NewKey made;
  made.secret = std::string(kSecretPrefix) + ToBase64Url(secret);
  made.key.id = KeyId("key_" + random_.Hex(12));
  made.key.account = account;
  made.key.role = role;
  made.key.name = std::move(name);
  made.key.prefix = made.secret.substr(0, kShownCharacters);
  made.key.secret_hash = Sha256::Of(made.secret);
  made.key.created_at = clock_.Wall();
  FALLOW_RETURN_IF_ERROR(store_.AddKey(made.key));
  return made;
}

Result<std::optional<ApiKey>> KeyRing::Find(std::string_view secret) {
  if (!secret.starts_with(kSecretPrefix)) return std::nullopt;
  FALLOW_ASSIGN_OR_RETURN(auto key, store_.FindKey(Sha256::Of(secret)));
  if (!key || key->revoked_at) return std::nullopt;
  return key;
}

}  // namespace fallow
