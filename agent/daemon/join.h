// `fallow-agent join`: makes this machine a device of a coordinator.
#pragma once

#include <string>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/join_link.h"
#include "base/result.h"

namespace fallow {

// Blocks until done. Stores the membership in `folder`; the same key joins as the same device.
//   kPermissionDenied: the certificate is not the link's; kUnauthenticated: the token is not valid
//   (any more); kUnavailable: the coordinator cannot be reached.
Result<Membership> Join(const JoinLink& link, const StateFolder& folder,
                        const std::string& agent_version);

}  // namespace fallow
