// The folder in which the kernel's input devices come and go. For files of platform/linux alone.
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "platform/linux/owned_descriptor.h"

namespace fallow {

class InputFolder {
 public:
  // Kernels number far fewer; what is beyond is left out.
  static constexpr std::size_t kMaxDevices = 256;

  // kUnavailable, with the reason, if it is not there.
  static Result<InputFolder> Open(std::string path);

  struct Changes {
    bool any = false;            // look at the folder again
    bool gone = false;           // the folder itself
    std::set<std::string> anew;  // came, went or were replaced: what was known of them is void
  };
  // Since the last call. Does not wait.
  Changes TakeChanges();
  // Readable when there are changes.
  int descriptor() const { return inotify_.number(); }

  // The names of what may be devices: "event12".
  std::set<std::string> Names() const;
  const std::string& path() const { return path_; }

 private:
  InputFolder(std::string path, OwnedDescriptor inotify)
      : path_(std::move(path)), inotify_(std::move(inotify)) {}

  std::string path_;
  OwnedDescriptor inotify_;
};

}  // namespace fallow
