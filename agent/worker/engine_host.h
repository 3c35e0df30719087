// The engine behind a worker: one backend, one model at a time.
//
// Invariant: a load that was stopped keeps what it has loaded until another model is asked for, and
// the next load of the same file goes on. Then memory is given back in pieces, between which a stop
// is answered too.
// Threading: one thread, the computing one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/worker/shard_executor.h"
#include "engine/backend.h"
#include "engine/kernel_store.h"
#include "engine/model/model.h"
#include "engine/model/model_load.h"
#include "engine/runner.h"
#include "platform/mapped_file.h"

namespace fallow {

enum class BackendChoice : std::uint8_t { kAuto, kVulkan, kCpu };

struct BackendOptions {
  BackendChoice choice = BackendChoice::kAuto;
  std::string device;              // of Vulkan: as VulkanBackendOptions; empty picks the best
  std::uint32_t thread_count = 0;  // of the CPU backend; 0: one per processor
  // For weights and caches; 0: as much as there is.
  std::uint64_t max_memory_bytes = 0;      // of the machine
  std::uint64_t max_gpu_memory_bytes = 0;  // of a Vulkan device
  // Of each, left to other programs where there is twice as much.
  std::uint64_t spare_memory_bytes = 0;
  std::uint64_t spare_gpu_memory_bytes = 0;
  engine::KernelStore* kernels = nullptr;  // of a Vulkan device; as VulkanBackendOptions
};

// kAuto takes Vulkan where there is a GPU or a device was asked for, else the CPU backend: a
// software Vulkan driver computes the same bits on the same processor, slower.
Result<std::unique_ptr<engine::Backend>> OpenBackend(const BackendOptions& options);

class EngineHost : public ModelHost {
 public:
  EngineHost(std::unique_ptr<engine::Backend> backend, engine::RunnerOptions runner,
             const BackendOptions& options);

  const engine::BackendInfo& info() const { return backend_->info(); }
  Result<ModelReady> Load(const std::string& path, const engine::StepControl& control) override;
  engine::Runner* runner() override { return runner_.get(); }

 private:
  // A load under way, or stopped on it. In the order of dependence.
  struct Loading {
    std::string path;
    std::unique_ptr<MappedFile> file;
    std::unique_ptr<engine::ModelLoad> model;     // null once it has given the model
    std::unique_ptr<engine::RunnerStart> runner;  // null until then
  };
  Result<std::unique_ptr<Loading>> BeginLoad(const std::string& path);
  Status Go(Loading& loading, const engine::StepControl& control);
  engine::RunnerOptions OptionsForModel() const;
  // With the way out, where the owner allows too little.
  Error WithCap(Error error) const;
  void Forget();

  // In the order of dependence: each needs the one before.
  std::unique_ptr<engine::Backend> backend_;
  engine::RunnerOptions runner_options_;
  // The setting by which the owner allows no more memory; empty: it is what there is.
  std::string_view cap_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<Loading> loading_;
  std::unique_ptr<engine::Runner> runner_;
};

}  // namespace fallow
