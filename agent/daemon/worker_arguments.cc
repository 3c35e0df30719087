#include "agent/daemon/worker_arguments.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <variant>

#include "agent/daemon/policy/policy_rules.h"
#include "agent/daemon/policy/setting_specs.h"

namespace fallow {
namespace {

// So much free is no reason to wait any more.
std::uint64_t SpareMib(std::uint64_t min_free_mib) {
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(min_free_mib) * kMemoryRelease));
}

}  // namespace

std::vector<std::string> WorkerArguments(const std::string& log_level, const Settings& settings,
                                         std::span<const std::string> only_gpus) {
  const Settings::Compute& compute = settings.compute;
  const std::string device =
      only_gpus.empty() ? compute.device : fmt::format("{}", fmt::join(only_gpus, ","));
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
  // What the policy wants free must not be taken by our own model: it would stop us for it.
  cap("--spare-memory-mib", SpareMib(settings.load.min_free_memory_mib));
  cap("--spare-gpu-memory-mib", SpareMib(settings.load.min_free_gpu_memory_mib));
  return arguments;
}

std::string WorkerChangeText(const Settings& before, const Settings& now) {
  const auto arguments = WorkerArguments("", before, {});
  std::vector<std::string_view> changed;
  for (const SettingSpec& spec : SettingSpecs()) {
    if (SettingValue(spec, before) == SettingValue(spec, now)) continue;
    Settings one = before, all = now;
    std::visit([&](const auto field) { field(one) = field(all); }, spec.field);
    if (WorkerArguments("", one, {}) != arguments) changed.push_back(spec.key);
  }
  if (changed.empty()) return "";
  return fmt::format("{} changed: a worker that ran is started anew", fmt::join(changed, ", "));
}

}  // namespace fallow
