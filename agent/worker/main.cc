// fallow-worker: computes what the agent's daemon sends through its standard input. Holds no
// network code.
//
// Exit codes: 0 the daemon closed the pipe; 1 a failure, named on standard error; 2 wrong usage.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "agent/worker/compiled_kernel_file.h"
#include "agent/worker/device_list.h"
#include "agent/worker/engine_host.h"
#include "agent/worker/float_environment.h"
#include "agent/worker/inbox.h"
#include "agent/worker/shard_executor.h"
#include "base/log.h"
#include "platform/background.h"
#include "platform/standard_streams.h"
#include "platform/system.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;

// Feeds the inbox until the pipe ends or says something that is no message.
Status ReadCommands(Inbox& inbox) {
  FrameReader frames(kMaxWorkerFrameBytes);
  std::array<std::uint8_t, kReadBytes> buffer;
  while (true) {
    FALLOW_ASSIGN_OR_RETURN(const std::size_t count, ReadStandardInput(buffer));
    if (count == 0) return {};
    frames.Feed(std::span(buffer).first(count));
    while (true) {
      FALLOW_ASSIGN_OR_RETURN(const std::optional<Bytes> payload, frames.Next());
      if (!payload) break;
      FALLOW_ASSIGN_OR_RETURN(ToWorker message, DecodeToWorker(*payload));
      inbox.Put(std::move(message));
    }
  }
}

// Starts the thread that fills `inbox`. It is not joined: it may wait on the pipe for ever when a
// failure ends the work first. So it owns what it touches.
void StartReading(const std::shared_ptr<const Clock>& clock, const std::shared_ptr<Inbox>& inbox) {
  std::thread([clock, inbox] { inbox->Close(ReadCommands(*inbox)); }).detach();
}

void GiveWay() {
  const auto reached = EnterBackground();
  if (reached) {
    LOG_INFO("worker: in the background: {}", *reached);
  } else {
    LOG_WARN("worker: not in the background: {}", reached.error().message);
  }
}

struct WorkerOptions {
  BackendOptions backend;
  std::string kernel_file;  // empty: compiled kernels are not kept
  engine::RunnerOptions runner;
  bool foreground = false;
};

// Null where it is not wanted or cannot be had: kernels are compiled each time then. Never
// destroyed, as the backend that uses it.
CompiledKernelFile* OpenCompiledKernels(const std::string& path) {
  if (path.empty()) return nullptr;
  auto file = CompiledKernelFile::Open(path);
  if (file) return file->release();
  LOG_WARN("worker: compiled kernels are not kept: {}", file.error().message);
  return nullptr;
}

Status Work(WorkerOptions options, const Clock& clock, Inbox& inbox) {
  const auto send = [](const FromWorker& message) {
    return WriteStandardOutput(EncodeFrame(message));
  };
  FALLOW_RETURN_IF_ERROR(CheckFloatEnvironment());
  options.backend.kernels = OpenCompiledKernels(options.kernel_file);
  auto backend = OpenBackend(options.backend);
  if (!backend) {
    (void)send(WorkerFailure{backend.error()});
    return std::unexpected(std::move(backend).error());
  }
  // Never destroyed: the process ends with it, and the kernel takes gigabytes back sooner in one go
  // than from us piece by piece.
  EngineHost& host = *new EngineHost(*std::move(backend), options.runner, options.backend);
  const engine::BackendInfo& info = host.info();
  FALLOW_RETURN_IF_ERROR(send(WorkerReady{.vulkan = info.vulkan,
                                          .processor = info.processor,
                                          .driver = info.driver,
                                          .memory_bytes = info.memory_bytes,
                                          .pci_address = info.pci_address,
                                          .queue_priority = info.queue_priority,
                                          .timestamps = info.timestamps}));
  return ShardExecutor(inbox, host, clock, send).Run();
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Computes inference requests for fallow-agent, which starts it.\n"
      "Messages come on standard input and go to standard output.");
  app.footer(
      "Exit codes:\n"
      "  0  the agent closed the pipe\n"
      "  1  failed; standard error says how\n"
      "  2  wrong usage");
  WorkerOptions options;
  std::string log_level = "info";
  bool list_devices = false, json = false;
  const std::map<std::string, BackendChoice> choices = {{"auto", BackendChoice::kAuto},
                                                        {"vulkan", BackendChoice::kVulkan},
                                                        {"cpu", BackendChoice::kCpu}};
  app.add_option("--backend", options.backend.choice, "auto: a GPU if there is one, else the CPU")
      ->transform(CLI::CheckedTransformer(choices, CLI::ignore_case))
      ->option_text("auto|vulkan|cpu");
  app.add_option("--device", options.backend.device, "Vulkan device, as --list-devices names it")
      ->option_text("NAME|INDEX|TYPE|PCI[,…]");
  app.add_option("--threads", options.backend.thread_count,
                 "Of the CPU backend [0: one per processor]")
      ->check(CLI::Range(0, 1024))
      ->option_text("COUNT");
  app.add_option("--max-sequences", options.runner.max_sequence_count,
                 "Requests in the batch at once [32]")
      ->check(CLI::Range(1, 1024))
      ->option_text("COUNT");
  const auto add_mib = [&app](const char* name, std::uint64_t& bytes, const char* what) {
    app.add_option_function<std::uint64_t>(
           name, [&bytes](std::uint64_t mib) { bytes = mib << 20; }, what)
        ->check(CLI::Range(0, 1 << 30))
        ->option_text("MIB");
  };
  add_mib("--max-memory-mib", options.backend.max_memory_bytes,
          "For weights and caches, of the machine's memory [0: as much as there is]");
  add_mib("--max-gpu-memory-mib", options.backend.max_gpu_memory_bytes,
          "The same, of a Vulkan device's");
  add_mib("--spare-memory-mib", options.backend.spare_memory_bytes,
          "Left to other programs, of the machine's memory [0]");
  add_mib("--spare-gpu-memory-mib", options.backend.spare_gpu_memory_bytes,
          "The same, of a Vulkan device's [0]");
  app.add_option("--kernel-file", options.kernel_file,
                 "Keep compiled kernels here, for a next start [not kept]")
      ->option_text("FILE");
  app.add_flag("--foreground", options.foreground,
               "Keep the priority it is started with, for measurements");
  app.add_option("--log-level", log_level, "trace, debug, info, warn, error or off [info]")
      ->option_text("LEVEL");
  app.add_flag("--list-devices", list_devices, "Print what there is to compute on");
  app.add_flag("--json", json, "With --list-devices: as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (auto status = SetUpLog("fallow-worker", log_level); !status) {
    std::fprintf(stderr, "fallow-worker: %s\n", status.error().message.c_str());
    return 2;
  }
  if (list_devices) {
    std::fputs((json ? DeviceJson() : DeviceTable()).c_str(), stdout);
    return 0;
  }
  if (auto status = DieWithParent(); !status && status.error().code == ErrorCode::kCancelled)
    return 0;
  const std::shared_ptr<const Clock> clock = NewSystemClock();
  const auto inbox = std::make_shared<Inbox>(*clock);
  // Before the process enters the background, so that this thread alone is outside the idle class:
  // it computes nothing, and the owner's wish to stop must not wait behind what it is to stop.
  if (!options.foreground) (void)BeNice();
  StartReading(clock, inbox);
  if (!options.foreground) GiveWay();
  const Status status = Work(options, *clock, *inbox);
  if (!status) LOG_ERROR("worker: {}", status.error().message);
  return status ? 0 : 1;
}

}  // namespace
}  // namespace fallow

int main(int argc, char** argv) {
  const int code = fallow::Main(argc, argv);
  // Without the destructors of static objects: the reading thread may still be in them.
  std::fflush(nullptr);
  std::_Exit(code);
}
