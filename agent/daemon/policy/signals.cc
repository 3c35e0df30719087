#include "agent/daemon/policy/signals.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/utf8.h"

namespace fallow {
namespace {

void BoundText(std::string& text, std::size_t max_bytes = kMaxSignalTextBytes) {
  text = ToValidUtf8(text, max_bytes);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    // So that no text is longer in the log than here.
    if (c == '"') c = '\'';
    if (c == '\\') c = '/';
  }
}

void BoundTexts(std::vector<std::string>& texts) {
  if (texts.size() > kMaxNamesInSignals) texts.resize(kMaxNamesInSignals);
  for (std::string& text : texts) BoundText(text);
}

void BoundNumber(std::optional<double>& number) {
  if (number && !std::isfinite(*number)) number.reset();
}

// Keeps the `max` items that `weight` puts first.
template <class Item, class Weight>
void KeepFirst(std::vector<Item>& items, std::size_t max, Weight weight) {
  if (items.size() <= max) return;
  std::ranges::stable_sort(items, {}, weight);
  items.resize(max);
}

void BoundPresence(std::vector<PresenceReading>& readings) {
  for (PresenceReading& reading : readings)
    reading.idle_for = std::max(reading.idle_for, std::chrono::milliseconds(0));
  KeepFirst(readings, kMaxPresenceReadings, [](const PresenceReading& reading) {
    return std::tuple(reading.kind != PresenceKind::kDistrusted, !reading.known, reading.idle_for);
  });
  for (PresenceReading& reading : readings) {
    BoundText(reading.source);
    BoundText(reading.detail);
  }
}

void BoundThermal(ThermalReading& thermal) {
  std::erase_if(thermal.temperatures,
                [](const Temperature& part) { return !std::isfinite(part.celsius); });
  KeepFirst(thermal.temperatures, kMaxTemperatures,
            [](const Temperature& part) { return -part.celsius; });
  for (Temperature& part : thermal.temperatures) {
    BoundText(part.sensor);
    BoundNumber(part.critical_celsius);
  }
  BoundNumber(thermal.processor_watts);
  BoundTexts(thermal.troubles);
}

void BoundGpus(std::vector<GpuReading>& gpus) {
  if (gpus.size() > kMaxGpus) gpus.resize(kMaxGpus);
  for (GpuReading& gpu : gpus) {
    BoundText(gpu.pci_address);
    BoundText(gpu.name);
    for (auto* number :
         {&gpu.busy_share, &gpu.foreign_busy_share, &gpu.celsius, &gpu.watts, &gpu.watts_limit})
      BoundNumber(*number);
  }
}

}  // namespace

Signals Bounded(Signals signals) {
  BoundPresence(signals.presence);
  KeepFirst(signals.session, kMaxSessionSignals,
            [](const SessionSignal& signal) { return std::tuple(!signal.known, !signal.active); });
  for (SessionSignal& signal : signals.session) {
    BoundText(signal.source);
    BoundText(signal.detail);
  }
  BoundText(signals.power.detail);
  BoundThermal(signals.thermal);
  BoundGpus(signals.gpus);
  for (auto* number : {&signals.cpu.foreign_share, &signals.cpu.pressure_share,
                       &signals.cpu.memory_pressure_share})
    BoundNumber(*number);
  BoundText(signals.cpu.trouble);
  BoundTexts(signals.owner_programs);
  BoundText(signals.settings_trouble, kMaxSettingsTroubleBytes);
  BoundTexts(signals.notices);
  return signals;
}

}  // namespace fallow
