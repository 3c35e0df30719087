#include "platform/linux/input_folder.h"

#include <fmt/format.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "platform/os.h"

namespace fallow {
namespace {

constexpr std::uint32_t kAnew = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr std::uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;
// IN_ATTRIB: rights are given to a device after it has come.
constexpr std::uint32_t kWatched = kAnew | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

bool IsDeviceName(std::string_view name) {
  constexpr std::string_view kPrefix = "event";
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) return false;
  return std::ranges::all_of(name.substr(kPrefix.size()),
                             [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<InputFolder> InputFolder::Open(std::string path) {
  OwnedDescriptor inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify && ::inotify_add_watch(inotify.number(), path.c_str(), kWatched) >= 0) {
    return InputFolder(std::move(path), std::move(inotify));
  }
  Error error = os::SystemError("cannot watch " + path, errno);
  error.code = ErrorCode::kUnavailable;
  return std::unexpected(std::move(error));
}

InputFolder::Changes InputFolder::TakeChanges() {
  Changes changes;
  alignas(inotify_event) std::array<std::byte, 4096> buffer;
  while (true) {
    const ssize_t size = ::read(inotify_.number(), buffer.data(), buffer.size());
    if (size <= 0) return changes;
    changes.any = true;
    for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
      const auto& event = *reinterpret_cast<const inotify_event*>(&buffer.at(at));
      at += sizeof(inotify_event) + event.len;
      if ((event.mask & kGone) != 0) changes.gone = true;
      if ((event.mask & kAnew) != 0 && event.len > 0) changes.anew.insert(event.name);
    }
  }
}

std::set<std::string> InputFolder::Names() const {
  std::set<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(path_, error);
       !error && entry != std::filesystem::directory_iterator() && names.size() < kMaxDevices;
       entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (IsDeviceName(name)) names.insert(std::move(name));
  }
  return names;
}

}  // namespace fallow
