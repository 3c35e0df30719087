// What the portable parts of this room need from the operating system. For files of platform/
// alone.
//
// Thread-safe.
#pragma once

#include <string>

#include "base/result.h"

namespace fallow::os {

// The error of a failed system call: `what` ("cannot write /a/b") with the reason in words, and the
// code a caller can act on (a full disk is kResourceExhausted). `error_number` is an errno value.
Error SystemError(std::string_view what, int error_number);

// Writing to a pipe or socket whose reader has gone becomes an error of the call instead of the
// process's end.
void IgnoreBrokenPipes();

// Marks every open file but the standard three to be closed in programs started from now on,
// whoever opened it.
void KeepFilesFromChildren();

// kPermissionDenied, with the way out, if another user could read or change `path`.
Status CheckIsPrivate(const std::string& path);

}  // namespace fallow::os
