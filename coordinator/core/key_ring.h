// The API keys. Only a secret's SHA-256 is stored: 256 random bits need no slow hash.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/store/store.h"

namespace fallow {

class KeyRing : public KeyService {
 public:
  KeyRing(Store& store, const Clock& clock, Random& random)
      : store_(store), clock_(clock), random_(random) {}

  Result<NewKey> Create(const AccountId& account, Role role, std::string name) override;
  Result<std::optional<ApiKey>> Find(std::string_view secret) override;
  Result<std::vector<ApiKey>> List() override { return store_.Keys(); }
  Status Revoke(const KeyId& id) override { return store_.RevokeKey(id, clock_.Wall()); }

 private:
  Store& store_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace fallow
