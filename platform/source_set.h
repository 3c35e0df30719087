// The sources of one kind that a process reads (presence, session signals), each opened anew when
// it is absent or stopped knowing: a display server may start or end at any time.
//
// Threading: the loop's thread. Read may destroy a source, so it is not called from inside one's
// callback.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace fallow {

// `Source` is PresenceSource or SessionSignalSource: its Read tells `source`, `known` and `detail`
// among others.
template <class Source>
class SourceSet {
 public:
  using Reading = decltype(std::declval<Source&>().Read());
  struct Kind {
    Reading absent;  // what is told while there is no source: its name, and that nothing is known
    std::function<Result<std::unique_ptr<Source>>()> open;
    // Told in its place from when a source was opened once: somebody was there who now is not.
    std::optional<Reading> lost;
  };
  // A source that could not be opened, or stopped knowing, is opened anew after so long.
  static constexpr std::chrono::milliseconds kReopenPeriod{30'000};

  // `clock` must outlive the set. Nothing is opened before the first Read.
  SourceSet(const Clock& clock, std::vector<Kind> kinds) : clock_(clock) {
    for (Kind& kind : kinds) slots_.push_back(Slot{.kind = std::move(kind)});
  }

  // Called with each source as it is opened, before it is read.
  void OnOpen(std::function<void(std::size_t place, Source&)> fn) { on_open_ = std::move(fn); }

  // One reading a kind, in their order; why a source cannot tell is its detail.
  std::vector<Reading> Read() {
    std::vector<Reading> readings;
    for (std::size_t place = 0; place < slots_.size(); ++place) {
      readings.push_back(ReadSlot(place));
    }
    return readings;
  }

  // Calls `fn` with each source that is open; `place` is its kind's.
  void ForEach(const std::function<void(std::size_t place, Source&)>& fn) {
    for (std::size_t place = 0; place < slots_.size(); ++place) {
      if (slots_[place].source != nullptr) fn(place, *slots_[place].source);
    }
  }

 private:
  struct Slot {
    Kind kind;
    std::unique_ptr<Source> source = nullptr;
    SteadyTime next_open{};
  };

  void Open(std::size_t place, SteadyTime now) {
    Slot& slot = slots_[place];
    auto source = slot.kind.open();
    slot.next_open = now + kReopenPeriod;
    if (source) {
      slot.source = *std::move(source);
      if (slot.kind.lost) slot.kind.absent = *std::exchange(slot.kind.lost, std::nullopt);
      if (on_open_) on_open_(place, *slot.source);
    } else {
      slot.kind.absent.detail = std::move(source).error().message;
    }
  }

  Reading ReadSlot(std::size_t place) {
    Slot& slot = slots_[place];
    const SteadyTime now = clock_.Steady();
    if (slot.source == nullptr && now >= slot.next_open) Open(place, now);
    if (slot.source == nullptr) return slot.kind.absent;
    Reading reading = slot.source->Read();
    if (reading.known) {
      slot.next_open = now + kReopenPeriod;
    } else if (now >= slot.next_open) {
      slot.kind.absent.detail = reading.detail;
      slot.source.reset();  // opened anew by the next call
    }
    return reading;
  }

  const Clock& clock_;
  std::vector<Slot> slots_;
  std::function<void(std::size_t, Source&)> on_open_;
};

}  // namespace fallow
