#include "agent/daemon/presence_watch.h"

#include <utility>

namespace fallow {

PresenceWatch::PresenceWatch(const Clock& clock, std::vector<Kind> kinds) : clock_(clock) {
  for (Kind& kind : kinds)
    slots_.push_back({.kind = std::move(kind), .source = nullptr, .trouble = {}});
}

std::vector<PresenceReading> PresenceWatch::Read() {
  std::vector<PresenceReading> readings;
  for (Slot& slot : slots_) readings.push_back(ReadSlot(slot));
  return readings;
}

PresenceReading PresenceWatch::ReadSlot(Slot& slot) {
  const SteadyTime now = clock_.Steady();
  if (slot.source == nullptr && now >= slot.next_open) {
    auto source = slot.kind.open();
    slot.next_open = now + kReopenPeriod;
    if (source) {
      slot.source = *std::move(source);
    } else {
      slot.trouble = source.error().message;
    }
  }
  if (slot.source == nullptr) {
    return {.source = slot.kind.name, .known = false, .idle_for = {}, .detail = slot.trouble};
  }
  PresenceReading reading = slot.source->Read();
  if (!reading.known) {
    slot.trouble = reading.detail;
    if (now >= slot.next_open) slot.source.reset();  // opened anew by the next call
  } else {
    slot.next_open = now + kReopenPeriod;
  }
  return reading;
}

}  // namespace fallow
