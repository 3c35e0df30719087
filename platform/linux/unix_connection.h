// Connects to a Unix socket without waiting. For files of platform/linux alone.
#pragma once

#include <string_view>

#include "base/result.h"
#include "platform/linux/owned_descriptor.h"

namespace fallow {

enum class UnixNamespace { kFile, kAbstract };

// A non-blocking stream socket. A server whose queue is full is an error, like one that is not
// there: it does not keep us. kInvalidArgument if the name is longer than the system allows (107
// bytes), else kUnavailable.
Result<OwnedDescriptor> ConnectUnix(std::string_view name, UnixNamespace where);

}  // namespace fallow
