#include "agent/worker/engine_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/vulkan_backend.h"
#include "platform/system.h"

namespace fallow {
namespace {

bool IsUsableGpu(const engine::VulkanDeviceInfo& device) {
  return device.unusable_reason.empty() && device.type != engine::VulkanDeviceType::kCpu;
}

// Whether kAuto means Vulkan here; logs why not.
bool HasUsableGpu() {
  const auto devices = engine::ListVulkanDevices();
  if (!devices) {
    LOG_INFO("worker: no Vulkan: {}", devices.error().message);
    return false;
  }
  if (std::ranges::any_of(*devices, IsUsableGpu)) return true;
  for (const engine::VulkanDeviceInfo& device : *devices) {
    LOG_INFO("worker: Vulkan device not used name={} reason={}", device.name,
             device.unusable_reason.empty() ? "a software driver" : device.unusable_reason);
  }
  return false;
}

// What is left to other programs of this machine's memory.
std::uint64_t SpareMemory(const BackendOptions& options) {
  const bool has_twice_as_much = PhysicalMemoryBytes() / 2 >= options.spare_memory_bytes;
  return has_twice_as_much ? options.spare_memory_bytes : 0;
}

// 0: none.
std::uint64_t MachineMemoryCap(const BackendOptions& options) {
  const std::uint64_t spare = SpareMemory(options);
  if (spare == 0) return options.max_memory_bytes;
  const std::uint64_t left = PhysicalMemoryBytes() - spare;
  return options.max_memory_bytes == 0 ? left : std::min(options.max_memory_bytes, left);
}

Result<std::unique_ptr<engine::Backend>> OpenVulkan(const BackendOptions& options) {
  engine::VulkanBackendOptions vulkan;
  vulkan.device = options.device;
  vulkan.max_memory_bytes = options.max_gpu_memory_bytes;
  vulkan.max_machine_memory_bytes = MachineMemoryCap(options);
  vulkan.spare_memory_bytes = options.spare_gpu_memory_bytes;
  vulkan.kernels = options.kernels;
  return engine::NewVulkanBackend(vulkan);
}

std::string_view CapOn(std::uint64_t memory_bytes, const BackendOptions& options) {
  if (memory_bytes == options.max_memory_bytes) return "limits.memory_mib";
  return memory_bytes == options.max_gpu_memory_bytes ? "limits.gpu_memory_mib" : "";
}

std::unique_ptr<engine::Backend> OpenCpu(const BackendOptions& options) {
  engine::CpuBackendOptions cpu;
  cpu.thread_count = options.thread_count;
  cpu.memory_bytes = options.max_memory_bytes;
  cpu.spare_memory_bytes = SpareMemory(options);
  return engine::NewCpuBackend(cpu);
}

}  // namespace

Result<std::unique_ptr<engine::Backend>> OpenBackend(const BackendOptions& options) {
  switch (options.choice) {
    case BackendChoice::kCpu:
      return OpenCpu(options);
    case BackendChoice::kVulkan:
      return OpenVulkan(options);
    case BackendChoice::kAuto:
      break;
  }
  if (!options.device.empty()) return OpenVulkan(options);
  if (!HasUsableGpu()) return OpenCpu(options);
  auto vulkan = OpenVulkan(options);
  if (vulkan) return vulkan;
  LOG_WARN("worker: the GPU cannot be used, computing on the processor: {}",
           vulkan.error().message);
  return OpenCpu(options);
}

EngineHost::EngineHost(std::unique_ptr<engine::Backend> backend, engine::RunnerOptions runner,
                       const BackendOptions& options)
    : backend_(std::move(backend)),
      runner_options_(runner),
      cap_(CapOn(info().memory_bytes, options)) {}

Result<ModelReady> EngineHost::Load(const std::string& path, const engine::StepControl& control) {
  if (loading_ == nullptr || loading_->path != path) {
    Forget();
    FALLOW_RETURN_IF_ERROR(backend_->GiveBack(control));
    FALLOW_ASSIGN_OR_RETURN(loading_, BeginLoad(path));
  }
  if (auto status = Go(*loading_, control); !status) {
    if (status.error().code != ErrorCode::kCancelled) {
      Forget();
      // What a stop leaves of it goes before the next load.
      (void)backend_->GiveBack(control);
    }
    return Wrap(WithCap(std::move(status).error()), path);
  }
  loading_.reset();
  const engine::MemoryPlan& plan = runner_->plan();
  LOG_INFO("worker: memory weights={} buffers={} bytes, caches for {} tokens", plan.weight_bytes,
           plan.workspace_bytes, std::uint64_t{plan.workspace.page_count} * engine::kPagePositions);
  return ModelReady{.path = path,
                    .context_length = model_->card().context_length,
                    .max_sequence_count = runner_options_.max_sequence_count};
}

Result<std::unique_ptr<EngineHost::Loading>> EngineHost::BeginLoad(const std::string& path) {
  auto loading = std::make_unique<Loading>();
  loading->path = path;
  FALLOW_ASSIGN_OR_RETURN(loading->file, MapFile(path));
  loading->model = std::make_unique<engine::ModelLoad>(loading->file->bytes(), *backend_);
  return loading;
}

Status EngineHost::Go(Loading& loading, const engine::StepControl& control) {
  if (model_ == nullptr) {
    FALLOW_ASSIGN_OR_RETURN(model_, loading.model->Run(control));
    loading.model.reset();
    loading.runner = std::make_unique<engine::RunnerStart>(*model_, OptionsForModel());
  }
  FALLOW_ASSIGN_OR_RETURN(runner_, loading.runner->Run(control));
  return {};
}

Error EngineHost::WithCap(Error error) const {
  if (error.code == ErrorCode::kResourceExhausted && !cap_.empty())
    error.message += fmt::format("; the owner's setting {} = {} allows no more", cap_,
                                 info().memory_bytes >> 20);
  return error;
}

engine::RunnerOptions EngineHost::OptionsForModel() const {
  engine::RunnerOptions options = runner_options_;
  // The owner has said what may be taken: all of it. Without that, a part is left to others.
  if (!cap_.empty()) options.memory_bytes = info().memory_bytes - model_->WeightBytes();
  return options;
}

// Each before what it lives on.
void EngineHost::Forget() {
  runner_.reset();
  loading_.reset();
  model_.reset();
}

}  // namespace fallow
