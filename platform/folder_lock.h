// One process at a time among those that change files of a folder and ask first.
//
// Whoever can read the folder can hold its lock, so nobody waits for it for long.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace fallow {

class FolderLock {
 public:
  virtual ~FolderLock() = default;  // lets it go
};

// Null if there is no such folder that this user can read, or if another holds it for longer than
// `patience`. Blocks this thread meanwhile.
std::unique_ptr<FolderLock> LockFolder(const std::string& folder,
                                       std::chrono::milliseconds patience);

}  // namespace fallow
