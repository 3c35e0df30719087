// Tells when a file was changed, made, replaced or removed, or its rights were.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "platform/loop.h"

namespace fallow {

class FileWatch {
 public:
  virtual ~FileWatch() = default;
};

// Calls `on_change` soon after (several changes within 100 ms are one; once too often now and
// then), on the loop's thread; no timer runs between. What is at `path` is followed through links,
// and through folders that are moved, removed, made anew or made only later. A file system that is
// mounted over a folder on the way is not noticed.
// kPermissionDenied or kResourceExhausted if the nearest folder that is there cannot be
// watched. `loop` is a MainLoop.
Result<std::unique_ptr<FileWatch>> WatchFile(Loop& loop, const std::string& path,
                                             std::function<void()> on_change);

}  // namespace fallow
