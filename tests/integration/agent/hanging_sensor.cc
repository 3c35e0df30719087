// Preloaded into a program: from when the file $FALLOW_TEST_HANG is there, whoever lists the power
// supplies waits for ever, as for a driver that does not answer. Then it is removed.
#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

extern "C" DIR* opendir(const char* path) {
  const char* sign = std::getenv("FALLOW_TEST_HANG");
  if (sign != nullptr && std::strcmp(path, "/sys/class/power_supply") == 0 && unlink(sign) == 0) {
    while (true) pause();
  }
  using Opendir = DIR* (*)(const char*);
  static const auto next = reinterpret_cast<Opendir>(dlsym(RTLD_NEXT, "opendir"));
  return next(path);
}
