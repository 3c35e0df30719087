#include "platform/standard_streams.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "platform/os.h"

namespace fallow {

Status DieWithParent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return std::unexpected(os::SystemError("cannot bind this process to its parent's life", errno));
  }
  // The parent may have gone before the call. Our launcher tells its children who it is.
  const char* launcher = std::getenv("FALLOW_LAUNCHER_PID");
  if (launcher != nullptr && ::getppid() != std::atoi(launcher)) {
    return Fail(ErrorCode::kCancelled, "the process that started this one has ended");
  }
  return {};
}

Result<std::size_t> ReadStandardInput(std::span<std::uint8_t> buffer) {
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) {
      return std::unexpected(os::SystemError("cannot read standard input", errno));
    }
  }
}

Status WriteStandardOutput(ByteView bytes) {
  os::IgnoreBrokenPipes();
  while (!bytes.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return std::unexpected(os::SystemError("cannot write standard output", errno));
    }
  }
  return {};
}

}  // namespace fallow
