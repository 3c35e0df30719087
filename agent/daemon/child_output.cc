#include "agent/daemon/child_output.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "platform/subprocess.h"
#include "platform/system.h"

namespace fallow {

Result<std::string> ChildOutput(std::vector<std::string> command,
                                std::chrono::milliseconds patience, int other_success) {
  const auto loop = NewMainLoop();
  const auto launcher = NewSubprocessLauncher(*loop);
  std::string output, last_line;
  bool too_much = false;
  std::optional<SubprocessExit> exit;
  SubprocessOptions options;
  options.arguments = command;
  options.on_output = [&](ByteView bytes) {
    too_much = too_much || output.size() + bytes.size() > kMaxChildOutputBytes;
    if (too_much) return loop->Stop();
    output += AsText(bytes);
  };
  options.on_error_line = [&](std::string_view line) { last_line = line; };
  options.on_exit = [&](SubprocessExit how) {
    exit = how;
    loop->Stop();
  };
  FALLOW_ASSIGN_OR_RETURN(const auto process, launcher->Launch(std::move(options)));
  process->CloseInput();
  const auto timer = loop->After(patience, [&] { loop->Stop(); });
  loop->Run();
  if (too_much) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} printed more than {} bytes", command[0], kMaxChildOutputBytes));
  }
  if (!exit) {
    return Fail(ErrorCode::kDeadlineExceeded,
                fmt::format("{} did not end within {} s", command[0], patience.count() / 1000));
  }
  if (exit->code != 0 && exit->code != other_success) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{} failed{}{}", command[0], last_line.empty() ? "" : ": ", last_line));
  }
  return output;
}

}  // namespace fallow
