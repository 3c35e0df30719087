// A KernelStore keeps what a driver compiled from one process to the next.
//
// A stop that meets a driver's compiler ends the process: what was compiled before is kept all the
// same, and no kernel is compiled twice. Threading: the backend's thread.
#pragma once

#include "base/bytes.h"
#include "base/digest.h"

namespace fallow::engine {

// A key stands for a kernel, its constants, and the device and driver that it was compiled for.
class KernelStore {
 public:
  virtual ~KernelStore() = default;
  // What was kept under `key`, whole; empty: nothing. Valid until the store changes.
  virtual ByteView Find(const Digest& key) const = 0;
  // In place of what was kept before. Where it cannot be, it is compiled again another time. Waits
  // for no disk.
  virtual void Keep(const Digest& key, ByteView compiled) = 0;
};

}  // namespace fallow::engine
