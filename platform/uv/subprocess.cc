#include "platform/subprocess.h"

#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <string>

#include "base/check.h"
#include "platform/os.h"
#include "platform/system.h"
#include "platform/uv/uv_loop.h"

namespace fallow {
namespace {

// A line of standard error is delivered in pieces of at most this many bytes.
constexpr std::size_t kMaxErrorLineBytes = 16 << 10;
// How long output may go on after the child's end, when a child of its own still holds the pipe.
constexpr std::uint64_t kOutputAfterExitMs = 1000;

struct WriteRequest {
  uv_write_t request{};
  Bytes bytes;
};

// The child and its pipes. It outlives the Subprocess until the child is reaped and libuv let go of
// all handles.
class Child {
 public:
  Child(uv_loop_t* loop, SubprocessOptions options) : loop_(loop), options_(std::move(options)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // After a failure the child deletes itself, as it does after Abandon.
  Status Start();
  void Write(Bytes bytes);
  void CloseInput();
  void Kill();
  // The owner has gone: no more callbacks, the child is killed and reaped.
  void Abandon();
  std::int64_t process_id() const { return process_id_; }

 private:
  enum Pipe : std::size_t { kInput = 0, kOutput = 1, kError = 2, kPipeCount = 3 };

  static Child& Of(const uv_handle_t* handle) { return *static_cast<Child*>(handle->data); }
  static Child& Of(const uv_stream_t* stream) { return *static_cast<Child*>(stream->data); }

  int Spawn();
  void StartReading(Pipe pipe);
  void OnRead(Pipe pipe, ssize_t count, const char* bytes);
  void OnErrorText(std::string_view text);
  void OnExit(std::int64_t code, int signal);
  void ReportExitWhenDrained();

  void ClosePipe(Pipe pipe);
  void Close(uv_handle_t* handle);
  void DeleteIfDone();

  uv_loop_t* const loop_;
  SubprocessOptions options_;
  uv_process_t process_{};
  uv_timer_t drain_timer_{};
  uv_shutdown_t input_end_{};
  std::array<uv_pipe_t, kPipeCount> pipes_{};
  std::array<bool, kPipeCount> pipe_open_{};
  std::array<char, 64 << 10> buffer_;
  std::string error_line_;
  SubprocessExit exit_;
  std::int64_t process_id_ = 0;
  int open_handles_ = 0;
  bool input_ending_ = false;
  bool running_ = false;
  bool abandoned_ = false;
  bool exit_reported_ = false;
};

// Our environment with `added` on top, and who we are (see DieWithParent).
std::vector<std::string> ChildEnvironment(const std::vector<std::string>& added) {
  std::map<std::string, std::string> values;
  const auto add = [&](const std::string& assignment) {
    const auto equals = assignment.find('=');
    if (equals != std::string::npos) values[assignment.substr(0, equals)] = assignment;
  };
  uv_env_item_t* items = nullptr;
  int count = 0;
  if (uv_os_environ(&items, &count) == 0) {
    for (int i = 0; i < count; ++i) add(std::string(items[i].name) + "=" + items[i].value);
    uv_os_free_environ(items, count);
  }
  for (const std::string& assignment : added) add(assignment);
  add("FALLOW_LAUNCHER_PID=" + std::to_string(uv_os_getpid()));
  std::vector<std::string> environment;
  for (auto& [name, assignment] : values) environment.push_back(std::move(assignment));
  return environment;
}

std::vector<char*> PointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Status Child::Start() {
  for (std::size_t i = 0; i < kPipeCount; ++i) {
    FALLOW_CHECK(uv_pipe_init(loop_, &pipes_[i], 0) == 0);
    pipes_[i].data = this;
    pipe_open_[i] = true;
    ++open_handles_;
  }
  FALLOW_CHECK(uv_timer_init(loop_, &drain_timer_) == 0);
  drain_timer_.data = this;
  ++open_handles_;

  os::KeepFilesFromChildren();
  const int status = Spawn();
  // libuv counts the process as a handle even if it could not start.
  process_.data = this;
  ++open_handles_;
  if (status != 0) {
    const std::string program = options_.arguments[0];
    Close(reinterpret_cast<uv_handle_t*>(&process_));
    Abandon();
    return std::unexpected(UvError("cannot start " + program, status));
  }
  running_ = true;
  process_id_ = uv_process_get_pid(&process_);
  StartReading(kOutput);
  StartReading(kError);
  return {};
}

int Child::Spawn() {
  std::vector<std::string> environment = ChildEnvironment(options_.environment);
  std::vector<char*> environment_pointers = PointersTo(environment);
  std::vector<char*> argument_pointers = PointersTo(options_.arguments);
  std::array<uv_stdio_container_t, kPipeCount> streams{};
  for (std::size_t i = 0; i < kPipeCount; ++i) {
    // Seen from the child.
    const int direction = i == kInput ? UV_READABLE_PIPE : UV_WRITABLE_PIPE;
    streams[i].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | direction);
    streams[i].data.stream = reinterpret_cast<uv_stream_t*>(&pipes_[i]);
  }
  uv_process_options_t options{};
  options.file = argument_pointers[0];
  options.args = argument_pointers.data();
  options.env = environment_pointers.data();
  // A group of its own, so that Kill reaches its children too, and a terminal's Ctrl-C does not
  // reach it.
  options.flags = UV_PROCESS_DETACHED | UV_PROCESS_WINDOWS_HIDE;
  options.stdio_count = kPipeCount;
  options.stdio = streams.data();
  options.exit_cb = [](uv_process_t* process, std::int64_t code, int signal) {
    Of(reinterpret_cast<uv_handle_t*>(process)).OnExit(code, signal);
  };
  return uv_spawn(loop_, &process_, &options);
}

void Child::StartReading(Pipe pipe) {
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    Child& child = Of(handle);
    *buffer = uv_buf_init(child.buffer_.data(), static_cast<unsigned>(child.buffer_.size()));
  };
  const auto on_read = [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    Child& child = Of(stream);
    const Pipe from =
        stream == reinterpret_cast<uv_stream_t*>(&child.pipes_[kOutput]) ? kOutput : kError;
    child.OnRead(from, count, buffer->base);
  };
  if (uv_read_start(reinterpret_cast<uv_stream_t*>(&pipes_[pipe]), allocate, on_read) != 0) {
    ClosePipe(pipe);
  }
}

void Child::OnRead(Pipe pipe, ssize_t count, const char* bytes) {
  if (count > 0 && !abandoned_) {
    const std::string_view text(bytes, static_cast<std::size_t>(count));
    if (pipe == kError) {
      OnErrorText(text);
    } else if (options_.on_output) {
      options_.on_output(AsBytes(text));
    }
  }
  if (count >= 0) return;
  ClosePipe(pipe);
  ReportExitWhenDrained();
}

void Child::OnErrorText(std::string_view text) {
  while (!text.empty() && !abandoned_) {
    const auto newline = text.find('\n');
    const std::size_t room = kMaxErrorLineBytes - error_line_.size();
    const std::size_t taken = std::min({newline, text.size(), room});
    error_line_ += text.substr(0, taken);
    text.remove_prefix(taken);
    const bool line_ended = newline == taken;
    if (!line_ended && error_line_.size() < kMaxErrorLineBytes) return;
    if (line_ended) text.remove_prefix(1);
    const std::string line = std::exchange(error_line_, {});
    if (options_.on_error_line) options_.on_error_line(line);
  }
}

void Child::OnExit(std::int64_t code, int signal) {
  running_ = false;
  exit_ = {.code = signal == 0 ? static_cast<int>(code) : -1, .signal = signal};
  Close(reinterpret_cast<uv_handle_t*>(&process_));
  ClosePipe(kInput);
  if (abandoned_) return;
  const auto on_timeout = [](uv_timer_t* timer) {
    Child& child = Of(reinterpret_cast<uv_handle_t*>(timer));
    child.ClosePipe(kOutput);
    child.ClosePipe(kError);
    child.ReportExitWhenDrained();
  };
  uv_update_time(loop_);
  FALLOW_CHECK(uv_timer_start(&drain_timer_, on_timeout, kOutputAfterExitMs, 0) == 0);
  ReportExitWhenDrained();
}

void Child::ReportExitWhenDrained() {
  if (running_ || abandoned_ || exit_reported_ || pipe_open_[kOutput] || pipe_open_[kError]) return;
  exit_reported_ = true;
  uv_timer_stop(&drain_timer_);
  if (!error_line_.empty() && options_.on_error_line) {
    const std::string line = std::exchange(error_line_, {});
    options_.on_error_line(line);
  }
  if (!abandoned_ && options_.on_exit) options_.on_exit(exit_);
}

void Child::Write(Bytes bytes) {
  if (!pipe_open_[kInput] || input_ending_ || bytes.empty()) return;
  auto* write = new WriteRequest{.bytes = std::move(bytes)};
  write->request.data = write;
  const uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(write->bytes.data()),
                                      static_cast<unsigned>(write->bytes.size()));
  const int status =
      uv_write(&write->request, reinterpret_cast<uv_stream_t*>(&pipes_[kInput]), &buffer, 1,
               [](uv_write_t* request, int) { delete static_cast<WriteRequest*>(request->data); });
  if (status != 0) delete write;
}

void Child::CloseInput() {
  if (!pipe_open_[kInput] || std::exchange(input_ending_, true)) return;
  // After what is queued. The callback comes before the pipe's own end, which the child outlives.
  input_end_.data = this;
  const int status = uv_shutdown(
      &input_end_, reinterpret_cast<uv_stream_t*>(&pipes_[kInput]),
      [](uv_shutdown_t* request, int) { static_cast<Child*>(request->data)->ClosePipe(kInput); });
  if (status != 0) ClosePipe(kInput);
}

void Child::Kill() {
  if (!running_) return;
  const int process_id = static_cast<int>(process_id_);
  // The group; the process alone where there are no groups.
  if (uv_kill(-process_id, SIGKILL) != 0) uv_kill(process_id, SIGKILL);
}

void Child::Abandon() {
  abandoned_ = true;
  Kill();
  for (const Pipe pipe : {kInput, kOutput, kError}) ClosePipe(pipe);
  Close(reinterpret_cast<uv_handle_t*>(&drain_timer_));
}

void Child::ClosePipe(Pipe pipe) {
  if (!std::exchange(pipe_open_[pipe], false)) return;
  Close(reinterpret_cast<uv_handle_t*>(&pipes_[pipe]));
}

void Child::Close(uv_handle_t* handle) {
  uv_close(handle, [](uv_handle_t* closed) {
    Child& child = Of(closed);
    --child.open_handles_;
    child.DeleteIfDone();
  });
}

void Child::DeleteIfDone() {
  if (open_handles_ == 0 && abandoned_) delete this;
}

class UvSubprocess : public Subprocess {
 public:
  explicit UvSubprocess(Child* child) : child_(child) {}
  ~UvSubprocess() override { child_->Abandon(); }
  UvSubprocess(const UvSubprocess&) = delete;
  UvSubprocess& operator=(const UvSubprocess&) = delete;

  void Write(Bytes bytes) override { child_->Write(std::move(bytes)); }
  void CloseInput() override { child_->CloseInput(); }
  void Kill() override { child_->Kill(); }
  std::int64_t process_id() const override { return child_->process_id(); }

 private:
  Child* child_;
};

class UvSubprocessLauncher : public SubprocessLauncher {
 public:
  explicit UvSubprocessLauncher(uv_loop_t* loop) : loop_(loop) {}

  Result<std::unique_ptr<Subprocess>> Launch(SubprocessOptions options) override {
    FALLOW_CHECK(!options.arguments.empty());
    auto* child = new Child(loop_, std::move(options));
    FALLOW_RETURN_IF_ERROR(child->Start());
    return std::make_unique<UvSubprocess>(child);
  }

 private:
  uv_loop_t* loop_;
};

}  // namespace

std::unique_ptr<SubprocessLauncher> NewSubprocessLauncher(Loop& loop) {
  return std::make_unique<UvSubprocessLauncher>(UvLoop::Of(loop));
}

}  // namespace fallow
