// The names of running programs, from /proc/PID/comm, cmdline and exe.
#include <algorithm>
#include <string_view>

#include "base/utf8.h"
#include "platform/cpu_load.h"
#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxNameBytes = 255;
// Enough for a path of the longest kind; of the arguments only the first is wanted.
constexpr std::size_t kMaxFirstArgumentBytes = 4096;

// Wine's programs have backslashes in their path, or both.
std::string_view WithoutFolders(std::string_view path) {
  const auto separator = path.find_last_of("/\\");
  return separator == std::string_view::npos ? path : path.substr(separator + 1);
}

std::string_view WithoutDeletedMark(std::string_view path) {
  constexpr std::string_view kMark = " (deleted)";
  if (path.ends_with(kMark)) path.remove_suffix(kMark.size());
  return path;
}

bool IsPrintable(std::string_view name) {
  return std::ranges::all_of(name, [](unsigned char byte) { return byte >= 0x20 && byte != 0x7F; });
}

void AddName(std::vector<std::string>& names, std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || !IsPrintable(name) || !IsValidUtf8(name)) {
    return;
  }
  names.emplace_back(name);
}

}  // namespace

std::vector<std::string> RunningPrograms(const SensorFolders& folders) {
  std::vector<std::string> names;
  for (const std::int64_t id : ProcessIdsIn(folders.proc)) {
    const std::string process = folders.proc + "/" + std::to_string(id);
    const auto arguments = ReadKernelText(process + "/cmdline", kMaxFirstArgumentBytes);
    // A kernel thread, or a process that has ended.
    if (!arguments || arguments->empty()) continue;
    const std::string_view first = std::string_view(*arguments).substr(0, arguments->find('\0'));
    AddName(names, WithoutFolders(first));
    if (const auto name = ReadKernelText(process + "/comm", 64)) AddName(names, *name);
    if (const auto file = LinkTarget(process + "/exe")) {
      AddName(names, LastPart(WithoutDeletedMark(*file)));
    }
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

}  // namespace fallow
