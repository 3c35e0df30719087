#include "platform/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace fallow {

std::optional<std::size_t> TerminalColumns(StandardStream stream) {
  constexpr std::size_t kUsualColumns = 80;
  const int descriptor = stream == StandardStream::kOutput ? STDOUT_FILENO : STDERR_FILENO;
  if (isatty(descriptor) == 0) return std::nullopt;
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualColumns;
  return size.ws_col;
}

}  // namespace fallow
