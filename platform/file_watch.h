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

// Calls `on_change` soon after (several changes within 100 ms are one), on the loop's thread; no
// timer runs between. Its folder must exist. `loop` is a MainLoop.
Result<std::unique_ptr<FileWatch>> WatchFile(Loop& loop, const std::string& path,
                                             std::function<void()> on_change);

}  // namespace fallow
