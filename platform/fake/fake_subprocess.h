// Child processes that a test plays by hand.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/subprocess.h"

namespace fallow {

// One launched child, as the test sees it. It stays readable after the Subprocess was destroyed.
struct FakeChild {
  SubprocessOptions options;
  Bytes input;  // what was written to its standard input
  bool input_closed = false;
  bool killed = false;  // by Kill, or by destruction while it ran
  bool running = true;
  bool destroyed = false;  // the Subprocess has gone: nothing more is called

  // The child's doings. Call them from the test's own level or a posted call, never from inside the
  // product.
  void Output(ByteView bytes);
  void ErrorLine(std::string_view line);
  void Exit(SubprocessExit exit);  // then on_exit
};

class FakeSubprocessLauncher : public SubprocessLauncher {
 public:
  Result<std::unique_ptr<Subprocess>> Launch(SubprocessOptions options) override;

  // Launches fail with this error while it is set.
  std::optional<Error> launch_error;
  // Called at the end of every Launch, before the caller has its Subprocess: for scripts that only
  // take notes or post.
  std::function<void(FakeChild&)> on_launch;

  // Every child so far, oldest first; addresses stay valid for the launcher's life.
  const std::deque<std::shared_ptr<FakeChild>>& children() const { return children_; }
  FakeChild& last() { return *children_.back(); }

 private:
  std::deque<std::shared_ptr<FakeChild>> children_;
};

}  // namespace fallow
