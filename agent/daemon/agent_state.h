// What an agent keeps in its state directory: which coordinator it joined, as which device, with
// which key.
//
//   agent.json      coordinator, device id, authority certificate
//   device.key      Ed25519, 0600
//   leases.json     leases held now, to be given back by the next start if this one is killed
//   pause.json      until when it is paused, and by whom
//   policy-log.jsonl  why it worked and why not
//   models/         the artifact cache
//   agent.sock      the running daemon's local calls
//   session.sock    where session helpers report
//
// Outside it, in memory: a sign of life (life_record.h).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/daemon/owner_pause.h"
#include "base/clock.h"
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
  std::string session_socket_path() const { return path_ + "/session.sock"; }
  std::string policy_log_path() const { return path_ + "/policy-log.jsonl"; }
  // Where a running agent of this folder may note that it lives, in memory; the first that can be
  // written is the one.
  std::vector<std::string> life_sign_paths() const;

  Status Make() const;
  // kNotFound, with the way out, if the agent has joined none.
  Result<Membership> LoadMembership() const;
  Status SaveMembership(const Membership& membership) const;
  // Empty if there is no such file, or none that can be read.
  std::vector<LeaseId> LoadHeldLeases() const;
  Status SaveHeldLeases(const std::vector<LeaseId>& leases) const;
  // Until when it is paused, also across restarts. A file that cannot be read stands for a pause
  // without end by the master: somebody wanted a pause.
  OwnerPause LoadPause() const;
  Status SavePause(const OwnerPause& pause) const;
  // Forgets membership, key and pause; the cache and the policy's log stay.
  Status Forget() const;

 private:
  std::string membership_path() const { return path_ + "/agent.json"; }
  std::string leases_path() const { return path_ + "/leases.json"; }
  std::string pause_path() const { return path_ + "/pause.json"; }

  std::string path_;
};

}  // namespace fallow
