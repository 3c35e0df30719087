// The real clock, randomness and machine facts. Only main functions build these.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "platform/loop.h"
#include "platform/subprocess.h"

namespace fallow {

std::unique_ptr<Clock> NewSystemClock();
std::unique_ptr<Random> NewSystemRandom();

std::string HostName();
std::string OperatingSystemName();  // "Debian GNU/Linux 12 (bookworm)"
std::uint64_t PhysicalMemoryBytes();
std::int64_t ProcessId();  // of this process
// "anna"; the number where the system knows no name. May ask a directory service: not for every
// day's use.
std::string UserName(std::int64_t user_id);

// A process's main loop.
class MainLoop : public Loop {
 public:
  virtual void Run() = 0;   // until Stop
  virtual void Stop() = 0;  // from the loop's thread
  // Calls `fn` on the loop's thread at SIGINT or SIGTERM (or their like); the default action is off
  // from now on.
  virtual void OnTerminate(std::function<void()> fn) = 0;
};
std::unique_ptr<MainLoop> NewMainLoop();                                // libuv
std::unique_ptr<SubprocessLauncher> NewSubprocessLauncher(Loop& loop);  // `loop` is a MainLoop

}  // namespace fallow
