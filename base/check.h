// Checks of our own invariants, on in release. Input from outside never reaches one.
#pragma once

namespace fallow::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);
}  // namespace fallow::internal

#define FALLOW_CHECK(condition)                                        \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::fallow::internal::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

#define FALLOW_UNREACHABLE() ::fallow::internal::CheckFailed(__FILE__, __LINE__, "unreachable")
