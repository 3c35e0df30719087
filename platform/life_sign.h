// A moment that outlives the process that noted it last, even one that was killed.
//
// Kept in a file of a file system in memory: noting it writes to no disk, and it is gone when the
// machine goes down. Threading: one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace fallow {

class LifeSign {
 public:
  virtual ~LifeSign() = default;
  // Takes the place of the moment before. What cannot be noted leaves that one.
  virtual void Note(WallTime now) = 0;
  virtual void Forget() = 0;  // there is nothing to be read any more
};

// Makes the file (0600), or goes on with it. kFailedPrecondition if its folder is not in memory;
// the system's error if it cannot be written.
Result<std::unique_ptr<LifeSign>> OpenLifeSign(const std::string& path);
// None if nothing was noted, or nothing that can be read.
std::optional<WallTime> ReadLifeSign(const std::string& path);

}  // namespace fallow
