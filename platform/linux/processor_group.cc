#include "platform/linux/processor_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// Where a hierarchy that may hold the processor controller is mounted, and the file that weighs a
// group there.
struct Hierarchy {
  std::string folder;
  std::string_view weight_file;
};

// A line of /proc/PID/cgroup: "0::/system.slice/x.service" (version 2), "4:cpu,cpuacct:/x".
struct Membership {
  Hierarchy hierarchy;
  std::string_view group;  // without the first '/'; empty: the root
};

bool HoldsProcessorController(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::string_view one = controllers.substr(0, controllers.find(','));
    if (one == "cpu") return true;
    controllers.remove_prefix(std::min(controllers.size(), one.size() + 1));
  }
  return false;
}

std::optional<Membership> ParseMembership(const std::string& cgroups, std::string_view line) {
  const auto first = line.find(':');
  const auto second = line.find(':', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view controllers = line.substr(first + 1, second - first - 1);
  std::string_view group = line.substr(second + 1);
  if (group.starts_with('/')) group.remove_prefix(1);
  if (HoldsProcessorController(controllers)) {
    return Membership{{fmt::format("{}/{}", cgroups, controllers), "cpu.shares"}, group};
  }
  if (controllers.empty()) return Membership{{cgroups, "cpu.weight"}, group};
  return std::nullopt;
}

// The outermost group on the way to `group` that weighs anything, unless it is idle.
std::optional<std::string> Outermost(const Hierarchy& hierarchy, std::string_view group) {
  for (std::size_t end = 0; end < group.size();) {
    end = std::min(group.find('/', end + 1), group.size());
    const std::string_view outer = group.substr(0, end);
    const std::string folder = fmt::format("{}/{}/", hierarchy.folder, outer);
    const auto weight = ReadKernelNumber(folder + std::string(hierarchy.weight_file));
    if (!weight) continue;
    if (ReadKernelNumber(folder + "cpu.idle").value_or(0) == 1) return std::nullopt;
    return fmt::format("{} ({} {})", outer, hierarchy.weight_file, *weight);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> GroupThatDoesNotGiveWay(const std::string& cgroups,
                                                   const std::string& process_folder) {
  const std::string memberships = ReadKernelText(process_folder + "/cgroup").value_or("");
  std::string_view rest = memberships;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto membership = ParseMembership(cgroups, line);
    if (!membership) continue;
    if (auto group = Outermost(membership->hierarchy, membership->group)) return group;
  }
  return std::nullopt;
}

}  // namespace fallow
