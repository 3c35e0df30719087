// The coordinator's data folder: where its store, artifacts, certificates and links lie, and what a
// first start puts there. Whoever can read it (0700) can do all that an operator can, so the first
// operator's key may lie there too.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/core/coordinator.h"
#include "platform/tls.h"

namespace fallow {

struct DataFolder {
  std::string path;

  std::string store() const { return path + "/store.sqlite"; }
  std::string artifacts() const { return path + "/artifacts"; }
  std::string authority_certificate() const { return path + "/ca.pem"; }
  std::string authority_key() const { return path + "/ca-key.pem"; }
  std::string server_certificate() const { return path + "/server.pem"; }
  std::string server_key() const { return path + "/server-key.pem"; }
  std::string server_hosts() const { return path + "/server-hosts"; }
  std::string operator_key() const { return path + "/operator.key"; }
  std::string address() const {
    return path + "/address.json";
  }  // of the coordinator that runs on it, or ran last
};

struct Certificates {
  std::string authority;  // PEM, without its key
  CertificateAndKey server;
};
// The authority, made at the first start, and a server certificate for `hosts`: made anew when the
// hosts are others or its end is near.
Result<Certificates> PrepareCertificates(const DataFolder& folder,
                                         const std::vector<std::string>& hosts, WallTime now);

// Makes an operator's key if there is none that lives, and keeps its secret in the folder. The
// secret, if it was made now or lies there and lives.
struct OperatorKey {
  std::optional<std::string> secret;
};
Result<OperatorKey> PrepareOperatorKey(const DataFolder& folder, KeyService& keys, Random& random);

}  // namespace fallow
