// Waits for the next input at the sources that can tell it at once, and calls for a look then.
//
// An owner who types or moves the mouse all the time is looked at a few times a second, not at each
// event. Threading: the loop's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>

#include "platform/loop.h"
#include "platform/presence.h"
#include "platform/source_set.h"

namespace fallow {

class InputWatch {
 public:
  // After input nobody waits for more of it for so long: at most four calls a second and source.
  static constexpr std::chrono::milliseconds kGap{250};

  // Both outlive it; it is who hears of sources that open. `on_input` is called on the loop, never
  // from inside a source's call.
  InputWatch(Loop& loop, SourceSet<PresenceSource>& sources, std::function<void()> on_input);

  // To be called again after each reading of the sources, which may have opened one.
  void Watch(bool closely);

 private:
  void Await();
  void OnInput(std::size_t place);

  Loop& loop_;
  SourceSet<PresenceSource>& sources_;
  const std::function<void()> on_input_;
  bool closely_ = false;
  std::set<std::size_t> awaited_;  // places of sources that will call at the next input
  std::unique_ptr<Timer> gap_;
  // Posted calls look here before they touch the watch.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
