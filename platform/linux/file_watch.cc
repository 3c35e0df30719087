// Watches a file by inotify, with everything that decides what its path means: the folders on the
// way to it and the links that lead there, each by itself, and the names in the last folder.
//
// A folder on the way tells that it was removed or moved, and nothing of what happens inside: an
// agent that waits is not woken by its neighbours. What is missing is awaited in the nearest folder
// that is there. After every change the way is walked anew.
#include "platform/file_watch.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <utility>

#include "base/log.h"
#include "platform/linux/owned_descriptor.h"
#include "platform/os.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

namespace fs = std::filesystem;

// Editors change a file in several steps; whoever reads it at the first would read half of it.
constexpr std::chrono::milliseconds kSettleTime{100};
// As many links as the kernel follows in one path (path_resolution(7)).
constexpr int kMaxLinks = 40;
// Each takes one of the user's watches.
constexpr int kMaxFolders = 128;

// Of a link, or of a folder on the way.
constexpr std::uint32_t kOwnEnd = IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW;
constexpr std::uint32_t kContentChanges = kOwnEnd | IN_MODIFY | IN_CLOSE_WRITE;
// Of attributes the folder tells too where the file itself may not be watched, for it may not be
// read.
constexpr std::uint32_t kNameChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                       IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

class InotifyFileWatch : public FileWatch {
 public:
  InotifyFileWatch(Loop& loop, const std::string& path, std::function<void()> on_change)
      : loop_(loop),
        path_(fs::absolute(path)),
        on_change_(std::move(on_change)),
        inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

  Status Open() {
    if (inotify_.number() < 0) {
      return std::unexpected(os::SystemError("cannot watch files", errno));
    }
    FALLOW_RETURN_IF_ERROR(WatchWay());
    readable_ = WatchDescriptor(loop_, inotify_.number(), [this] { ReadEvents(); });
    return {};
  }

 private:
  // Watches the way as it is now. What stays the same costs nothing.
  Status WatchWay() {
    const auto before = std::exchange(watched_, {});
    Status walked = Walk();
    for (const auto& [watch, name] : before) {
      if (!watched_.contains(watch)) ::inotify_rm_watch(inotify_.number(), watch);
    }
    return walked;
  }

  // Each is watched before it is looked at: whatever happens in between is told.
  Status Walk() {
    fs::path folder = path_.root_path();  // without links
    std::deque<fs::path> rest;
    for (const fs::path& part : path_.relative_path()) rest.push_back(part);
    int folders = 0, links = 0;
    while (!rest.empty()) {
      const fs::path name = std::move(rest.front());
      rest.pop_front();
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        folder = folder.parent_path();
        continue;
      }
      const fs::path here = folder / name;
      fs::file_type type = WatchAndLook(here);
      if (rest.empty() || (type != fs::file_type::symlink && type != fs::file_type::directory)) {
        FALLOW_RETURN_IF_ERROR(AwaitName(folder, name));
        type = WatchAndLook(here);
      }
      if (type == fs::file_type::symlink && ++links <= kMaxLinks) {
        Follow(here, folder, rest);
      } else if (type == fs::file_type::directory && !rest.empty()) {
        if (++folders > kMaxFolders) return TooDeep();
        folder = here;
      } else {
        if (type == fs::file_type::regular && rest.empty()) (void)Add(here, kContentChanges, "");
        return {};
      }
    }
    return {};
  }

  // One that may not be read cannot be watched; the folder it is in tells of it.
  fs::file_type WatchAndLook(const fs::path& here) {
    (void)Add(here, kOwnEnd, "");
    std::error_code ignored;
    return fs::symlink_status(here, ignored).type();
  }

  Status AwaitName(const fs::path& folder, const fs::path& name) {
    if (Add(folder, kNameChanges, name.native())) return {};
    // It went meanwhile: what was watched of it, or of the way to it, tells.
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return std::unexpected(os::SystemError("cannot watch the folder " + folder.string(), errno));
  }

  // Its target's parts come before the rest.
  static void Follow(const fs::path& link, fs::path& folder, std::deque<fs::path>& rest) {
    std::error_code gone;
    const fs::path target = fs::read_symlink(link, gone);
    if (target.is_absolute()) folder = target.root_path();
    const fs::path parts = target.relative_path();
    rest.insert(rest.begin(), parts.begin(), parts.end());
  }

  // `name`: the one in a folder that is ours. False, with errno: it cannot be watched.
  bool Add(const fs::path& here, std::uint32_t changes, const std::string& name) {
    const int watch = ::inotify_add_watch(inotify_.number(), here.c_str(), changes);
    if (watch < 0) return false;
    watched_[watch] = name;
    return true;
  }

  Status TooDeep() const {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("cannot watch {}: more than {} folders lead to it, links included; "
                            "put it nearer to the root",
                            path_.string(), kMaxFolders));
  }

  void ReadEvents() {
    alignas(inotify_event) char buffer[4096];
    bool concerned = false;
    ssize_t count = 0;
    while ((count = ::read(inotify_.number(), buffer, sizeof(buffer))) > 0) {
      for (ssize_t at = 0; at < count;) {
        inotify_event event{};
        std::memcpy(&event, buffer + at, sizeof(event));
        const char* name = event.len > 0 ? buffer + at + sizeof(event) : "";
        concerned = concerned || IsAboutFile(event, name);
        at += static_cast<ssize_t>(sizeof(event)) + event.len;
      }
    }
    // Time runs from the first change, so that one who writes without end is heard too.
    if (concerned && settling_ == nullptr) {
      settling_ = loop_.After(kSettleTime, [this] { Tell(); });
    }
  }

  bool IsAboutFile(const inotify_event& event, std::string_view name) const {
    // The kernel dropped events: any may have been ours.
    if ((event.mask & IN_Q_OVERFLOW) != 0) return true;
    const auto watched = watched_.find(event.wd);
    if (watched == watched_.end()) return false;
    return name.empty() || name == watched->second;
  }

  void Tell() {
    settling_.reset();
    // Before it is told: whoever reads the file then misses no change after that.
    if (const Status watched = WatchWay(); !watched)
      LOG_WARN("changes of {} may not be seen: {}", path_.string(), watched.error().message);
    // A copy: it may destroy the watch, and itself with it.
    const auto call = on_change_;
    call();
  }

  Loop& loop_;
  const fs::path path_;
  const std::function<void()> on_change_;
  OwnedDescriptor inotify_;
  std::map<int, std::string> watched_;  // by watch: the name in it that is ours, if it has any
  std::unique_ptr<Timer> settling_;
  std::unique_ptr<DescriptorWatch> readable_;
};

}  // namespace

Result<std::unique_ptr<FileWatch>> WatchFile(Loop& loop, const std::string& path,
                                             std::function<void()> on_change) {
  auto watch = std::make_unique<InotifyFileWatch>(loop, path, std::move(on_change));
  FALLOW_RETURN_IF_ERROR(watch->Open());
  return watch;
}

}  // namespace fallow
