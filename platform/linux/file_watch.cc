// Watches a file by inotify: its folder, which sees it come, go and be replaced, and the file
// itself, which a link in that folder may have elsewhere.
#include "platform/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "platform/linux/owned_descriptor.h"
#include "platform/os.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {
namespace {

// Editors change a file in several steps; whoever reads it at the first would read half of it.
constexpr std::chrono::milliseconds kSettleTime{100};

constexpr std::uint32_t kContentChanges =
    IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;
// Of attributes the folder tells too where the file itself may not be watched, for it may not be
// read.
constexpr std::uint32_t kFolderChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                         IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

class InotifyFileWatch : public FileWatch {
 public:
  InotifyFileWatch(Loop& loop, const std::string& path, std::function<void()> on_change)
      : loop_(loop),
        path_(std::filesystem::absolute(path)),
        on_change_(std::move(on_change)),
        inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

  Status Open() {
    if (inotify_.number() < 0) {
      return std::unexpected(os::SystemError("cannot watch files", errno));
    }
    const std::string folder = path_.parent_path().string();
    folder_watch_ = ::inotify_add_watch(inotify_.number(), folder.c_str(), kFolderChanges);
    if (folder_watch_ < 0) {
      return std::unexpected(os::SystemError("cannot watch the folder " + folder, errno));
    }
    WatchContent();
    readable_ = WatchDescriptor(loop_, inotify_.number(), [this] { ReadEvents(); });
    return {};
  }

 private:
  // Of what is at the path now, which may be nothing. The same file again costs nothing.
  void WatchContent() {
    const int watch = ::inotify_add_watch(inotify_.number(), path_.c_str(), kContentChanges);
    if (watch == file_watch_) return;
    if (file_watch_ >= 0) ::inotify_rm_watch(inotify_.number(), file_watch_);
    file_watch_ = watch;
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
    if ((event.mask & IN_IGNORED) != 0) return false;
    // The kernel dropped events: any may have been ours.
    if ((event.mask & IN_Q_OVERFLOW) != 0) return true;
    if (event.wd != folder_watch_) return event.wd == file_watch_;
    return name.empty() || name == path_.filename().native();
  }

  void Tell() {
    settling_.reset();
    WatchContent();
    // A copy: it may destroy the watch, and itself with it.
    const auto call = on_change_;
    call();
  }

  Loop& loop_;
  const std::filesystem::path path_;
  const std::function<void()> on_change_;
  OwnedDescriptor inotify_;
  int folder_watch_ = -1;
  int file_watch_ = -1;
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
