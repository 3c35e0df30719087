// A real fallow-worker process, spoken to over its pipes; killed when the test ends.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "platform/subprocess.h"
#include "platform/system.h"
#include "protocol/limits.h"
#include "protocol/worker_messages.h"

namespace fallow {

class WorkerPipe {
 public:
  explicit WorkerPipe(std::vector<std::string> arguments) {
    // Tests run beside others, which a worker in the background would wait for.
    arguments.insert(arguments.begin(), {FALLOW_BINARY_DIR "/bin/fallow-worker", "--foreground"});
    SubprocessOptions options;
    options.arguments = std::move(arguments);
    options.on_output = [this](ByteView bytes) { Read(bytes); };
    options.on_error_line = [this](std::string_view line) { errors_ += std::string(line) + "\n"; };
    options.on_exit = [this](SubprocessExit exit) {
      exit_ = exit;
      loop_->Stop();
    };
    auto process = launcher_->Launch(std::move(options));
    EXPECT_TRUE(process.has_value());
    if (process) process_ = *std::move(process);
  }

  void Send(const ToWorker& message) { process_->Write(EncodeFrame(message)); }
  void SendRaw(Bytes bytes) { process_->Write(std::move(bytes)); }
  void CloseInput() { process_->CloseInput(); }

  // The next message; none once the process has ended or said nothing for `patience`.
  std::optional<FromWorker> Next(std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    RunUntil(patience, [this] { return !messages_.empty() || exit_.has_value(); });
    if (messages_.empty()) return std::nullopt;
    FromWorker message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }
  // The next message of a kind; others before it are passed over.
  template <class Message>
  std::optional<Message> Next() {
    while (auto message = Next()) {
      if (auto* value = std::get_if<Message>(&*message)) return std::move(*value);
      if (const auto* failure = std::get_if<WorkerFailure>(&*message)) {
        ADD_FAILURE() << "the worker failed: " << failure->error.message;
      }
    }
    return std::nullopt;
  }
  std::optional<SubprocessExit> WaitForExit(
      std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    RunUntil(patience, [this] { return exit_.has_value(); });
    return exit_;
  }
  const std::string& errors() const { return errors_; }

 private:
  void Read(ByteView bytes) {
    frames_.Feed(bytes);
    while (true) {
      const auto payload = frames_.Next();
      ASSERT_TRUE(payload.has_value()) << payload.error().message;
      if (!*payload) break;
      auto message = DecodeFromWorker(**payload);
      ASSERT_TRUE(message.has_value()) << message.error().message;
      messages_.push_back(*std::move(message));
    }
    loop_->Stop();
  }
  // Each event stops the loop; it goes on until the condition holds or time is up.
  void RunUntil(std::chrono::milliseconds patience, const std::function<bool()>& condition) {
    bool late = false;
    const auto timer = loop_->After(patience, [&] {
      late = true;
      loop_->Stop();
    });
    while (!late && !condition()) loop_->Run();
  }

  std::unique_ptr<MainLoop> loop_ = NewMainLoop();
  std::unique_ptr<SubprocessLauncher> launcher_ = NewSubprocessLauncher(*loop_);
  FrameReader frames_{kMaxWorkerFrameBytes};
  std::deque<FromWorker> messages_;
  std::optional<SubprocessExit> exit_;
  std::string errors_;
  std::unique_ptr<Subprocess> process_;
};

}  // namespace fallow
