// A running coordinator: store, services, API and the TLS server, put together from a data folder.
//
// Threading: the main loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "coordinator/daemon/data_folder.h"
#include "coordinator/daemon/listen_address.h"
#include "platform/system.h"

namespace fallow {

struct CoordinatorProcessOptions {
  DataFolder folder;
  ListenAddress listen;
  std::vector<std::string> hosts;  // more names it is reached by
  std::string version;
};

// What people and programs need to reach it.
struct CoordinatorLinks {
  std::string url;
  std::uint16_t port = 0;
  std::optional<std::string>
      sign_in_link;  // none if the first operator's key was revoked or its file removed
  std::string join_link;
  std::string ca_file;
  bool first_start = false;  // it has never served before
};

class CoordinatorProcess {
 public:
  virtual ~CoordinatorProcess() = default;
  virtual const CoordinatorLinks& links() const = 0;
  // Takes no more connections, ends what waits, lets replies out; then calls `done`, within 2 s.
  virtual void Stop(std::function<void()> done) = 0;
};

// kFailedPrecondition if another coordinator has the folder.
Result<std::unique_ptr<CoordinatorProcess>> StartCoordinator(
    Loop& loop, const Clock& clock, Random& random, const CoordinatorProcessOptions& options);

}  // namespace fallow
