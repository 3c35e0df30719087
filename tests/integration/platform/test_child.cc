// A child for the subprocess tests: does what its first argument says.
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "platform/standard_streams.h"

namespace {

using fallow::AsBytes;

int Echo() {
  std::array<std::uint8_t, 8192> buffer;
  while (true) {
    const auto count = fallow::ReadStandardInput(buffer);
    if (!count) return 1;
    if (*count == 0) return 0;
    if (!fallow::WriteStandardOutput({buffer.data(), *count})) return 2;
  }
}

// Open descriptors, one a line, without the one that lists them.
int Files() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 1;
  std::string text;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(folder)) continue;
    text += std::string(entry->d_name) + "\n";
  }
  closedir(folder);
  return fallow::WriteStandardOutput(AsBytes(text)) ? 0 : 1;
}

// A child of ours that holds our output open and lives on.
int Grandchild() {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  const std::string text = std::to_string(child) + "\n";
  return fallow::WriteStandardOutput(AsBytes(text)) ? 0 : 1;
}

int Wait() {
  if (!fallow::WriteStandardOutput(AsBytes("waiting\n"))) return 1;
  while (true) pause();
}

// Starts a process that is bound to our life and ends without waiting for it.
int LeaveBoundChild() {
  int ready[2];
  if (pipe(ready) != 0) return 1;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    setenv("FALLOW_LAUNCHER_PID", std::to_string(parent).c_str(), 1);
    if (!fallow::DieWithParent()) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) return 1;
  const std::string text = std::to_string(child) + "\n";
  if (!fallow::WriteStandardOutput(AsBytes(text))) return 1;
  raise(SIGKILL);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "echo") return Echo();
  if (what == "files") return Files();
  if (what == "grandchild") return Grandchild();
  if (what == "wait") return Wait();
  if (what == "leave-bound-child") return LeaveBoundChild();
  if (what == "exit") return std::atoi(argv[2]);
  if (what == "abort") raise(SIGABRT);
  if (what == "getenv") {
    const char* value = std::getenv(argv[2]);
    std::printf("%s", value != nullptr ? value : "(none)");
    return 0;
  }
  if (what == "complain") {
    std::fprintf(stderr, "first line\n\nthird line\nunfinished");
    return 0;
  }
  if (what == "flood") {
    const std::string text(64 << 10, 'e');
    for (int i = 0; i < 64; ++i) std::fwrite(text.data(), 1, text.size(), stderr);
    return 0;
  }
  return 64;
}
