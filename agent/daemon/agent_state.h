// What an agent keeps in its state directory: which coordinator it joined, as which device, with
// which key.
//
//   agent.json      coordinator, device id, authority certificate
//   device.key      Ed25519, 0600
//   leases.json     leases held now, to be given back by the next start if this one is killed
//   models/         the artifact cache
//   agent.sock      the running daemon's local calls
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace fallow {

struct Membership {
  std::string coordinator_url;  // "https://HOST:PORT"
  DeviceId device;
  std::string authority_pem;  // the only authority trusted for that coordinator
  bool operator==(const Membership&) const = default;
};

class StateFolder {
 public:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string key_path() const { return path_ + "/device.key"; }
  std::string models_path() const { return path_ + "/models"; }
  std::string socket_path() const { return path_ + "/agent.sock"; }

  Status Make() const;
  // kNotFound, with the way out, if the agent has joined none.
  Result<Membership> LoadMembership() const;
  Status SaveMembership(const Membership& membership) const;
  // Empty if there is no such file, or none that can be read.
  std::vector<LeaseId> LoadHeldLeases() const;
  Status SaveHeldLeases(const std::vector<LeaseId>& leases) const;
  // Forgets membership and key; the cache stays.
  Status Forget() const;

 private:
  std::string membership_path() const { return path_ + "/agent.json"; }
  std::string leases_path() const { return path_ + "/leases.json"; }

  std::string path_;
};

}  // namespace fallow
