// Waits for a descriptor to become readable. For files of platform/ alone.
//
// Threading: the loop's thread. `fn` is not called after destruction; it may destroy the watch.
#pragma once

#include <functional>
#include <memory>

#include "platform/loop.h"

namespace fallow {

class DescriptorWatch {
 public:
  virtual ~DescriptorWatch() = default;  // does not close the descriptor
};

// `loop` is a MainLoop. `fn` is called at every turn at which `descriptor` can be read, has ended
// or has failed, until the watch is destroyed.
std::unique_ptr<DescriptorWatch> WatchDescriptor(Loop& loop, int descriptor,
                                                 std::function<void()> fn);

}  // namespace fallow
