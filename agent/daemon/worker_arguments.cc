#include "agent/daemon/worker_arguments.h"

#include <fmt/format.h>

namespace fallow {
std::vector<std::string> WorkerArguments(const std::string& log_level, const Settings& settings,
                                         std::span<const std::string> only_gpus) {
  const Settings::Compute& compute = settings.compute;
  const std::string device = only_gpus.empty() ? compute.device : only_gpus[0];
  std::vector<std::string> arguments = {
      "--backend",       only_gpus.empty() ? compute.backend : "vulkan",
      "--threads",       fmt::to_string(compute.threads),
      "--max-sequences", fmt::to_string(compute.max_sequences),
      "--log-level",     log_level};
  // Nobody is there to give way to.
  if (settings.presence.dedicated) arguments.emplace_back("--foreground");
  if (!device.empty()) arguments.insert(arguments.end(), {"--device", device});
  const auto cap = [&](const char* option, std::uint64_t mib) {
    if (mib != 0) arguments.insert(arguments.end(), {option, fmt::to_string(mib)});
  };
  cap("--max-memory-mib", settings.limits.memory_mib);
  cap("--max-gpu-memory-mib", settings.limits.gpu_memory_mib);
  return arguments;
}

}  // namespace fallow
