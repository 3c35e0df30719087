// What both ends of a Unix socket need of the system. For files of platform/linux alone.
#pragma once

#include <sys/un.h>

#include <string>

#include "base/result.h"
#include "platform/linux/owned_descriptor.h"

namespace fallow {

Result<sockaddr_un> UnixAddressOf(const std::string& path);

// Where a server's name is: a file, or a name of Linux's that no file has.
enum class UnixNamespace { kFile, kAbstract };

// A connected socket that does not block. kUnavailable if nobody serves there; kResourceExhausted
// if the server's queue is full at the moment.
Result<OwnedDescriptor> ConnectUnixSocket(const std::string& name,
                                          UnixNamespace where = UnixNamespace::kFile);

}  // namespace fallow
