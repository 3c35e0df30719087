#include "agent/daemon/input_watch.h"

#include <utility>

namespace fallow {

InputWatch::InputWatch(Loop& loop, SourceSet<PresenceSource>& sources,
                       std::function<void()> on_input)
    : loop_(loop), sources_(sources), on_input_(std::move(on_input)) {
  sources_.OnOpen([this](std::size_t place, PresenceSource&) { awaited_.erase(place); });
}

void InputWatch::Watch(bool closely) {
  closely_ = closely;
  if (closely) {
    if (gap_ == nullptr) Await();
    return;
  }
  sources_.ForEach([](std::size_t, PresenceSource& source) { source.AwaitInput(nullptr); });
  awaited_.clear();
}

void InputWatch::Await() {
  sources_.ForEach([this](std::size_t place, PresenceSource& source) {
    if (awaited_.contains(place)) return;
    if (source.AwaitInput([this, place] { OnInput(place); })) awaited_.insert(place);
  });
}

void InputWatch::OnInput(std::size_t place) {
  awaited_.erase(place);
  gap_ = loop_.After(kGap, [this] {
    const std::unique_ptr<Timer> ended = std::move(gap_);
    if (closely_) Await();
  });
  // Not from inside the source's own call: looking may close it.
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) on_input_();
  });
}

}  // namespace fallow
