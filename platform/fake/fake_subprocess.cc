#include "platform/fake/fake_subprocess.h"

#include <csignal>
#include <utility>

namespace fallow {
namespace {

constexpr std::int64_t kFirstProcessId = 1000;

class FakeSubprocess : public Subprocess {
 public:
  FakeSubprocess(std::shared_ptr<FakeChild> child, std::int64_t process_id)
      : child_(std::move(child)), process_id_(process_id) {}
  ~FakeSubprocess() override {
    child_->destroyed = true;
    Kill();
  }
  FakeSubprocess(const FakeSubprocess&) = delete;
  FakeSubprocess& operator=(const FakeSubprocess&) = delete;

  void Write(Bytes bytes) override {
    if (child_->running && !child_->input_closed) {
      child_->input.insert(child_->input.end(), bytes.begin(), bytes.end());
    }
  }
  void CloseInput() override { child_->input_closed = true; }
  // A test that wants on_exit to follow calls FakeChild::Exit.
  void Kill() override {
    if (child_->running) child_->killed = true;
  }
  std::int64_t process_id() const override { return process_id_; }

 private:
  std::shared_ptr<FakeChild> child_;
  std::int64_t process_id_;
};

}  // namespace

void FakeChild::Output(ByteView bytes) {
  if (!destroyed && options.on_output) options.on_output(bytes);
}

void FakeChild::ErrorLine(std::string_view line) {
  if (!destroyed && options.on_error_line) options.on_error_line(line);
}

void FakeChild::Exit(SubprocessExit exit) {
  if (!std::exchange(running, false)) return;
  if (!destroyed && options.on_exit) options.on_exit(exit);
}

Result<std::unique_ptr<Subprocess>> FakeSubprocessLauncher::Launch(SubprocessOptions options) {
  if (launch_error) return std::unexpected(*launch_error);
  auto child = std::make_shared<FakeChild>();
  child->options = std::move(options);
  children_.push_back(child);
  const auto process_id = kFirstProcessId + static_cast<std::int64_t>(children_.size());
  auto process = std::make_unique<FakeSubprocess>(child, process_id);
  if (on_launch) on_launch(*child);
  return process;
}

}  // namespace fallow
