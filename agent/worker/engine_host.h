// The engine behind a worker: one backend, one model at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "agent/worker/shard_executor.h"
#include "engine/backend.h"
#include "engine/model/model.h"
#include "engine/runner.h"

namespace fallow {

enum class BackendChoice : std::uint8_t { kAuto, kVulkan, kCpu };

struct BackendOptions {
  BackendChoice choice = BackendChoice::kAuto;
  std::string device;                  // of Vulkan: as VulkanBackendOptions; empty picks the best
  std::uint32_t thread_count = 0;      // of the CPU backend; 0: one per processor
  std::uint64_t max_memory_bytes = 0;  // for weights and caches; 0: as much as there is
};

// kAuto takes Vulkan where there is a GPU or a device was asked for, else the CPU backend: a
// software Vulkan driver computes the same bits on the same processor, slower.
Result<std::unique_ptr<engine::Backend>> OpenBackend(const BackendOptions& options);

class EngineHost : public ModelHost {
 public:
  // `max_memory_bytes`: as BackendOptions.
  EngineHost(std::unique_ptr<engine::Backend> backend, engine::RunnerOptions options,
             std::uint64_t max_memory_bytes);

  const engine::BackendInfo& info() const { return backend_->info(); }
  Result<ModelReady> Load(const std::string& path, const engine::StepControl& control) override;
  engine::Runner* runner() override { return runner_.get(); }

 private:
  // In the order of dependence: each needs the one before.
  std::unique_ptr<engine::Backend> backend_;
  engine::RunnerOptions options_;
  std::uint64_t max_memory_bytes_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<engine::Runner> runner_;
};

}  // namespace fallow
