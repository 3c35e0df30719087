// NVIDIA's graphics cards, by the driver's management library (NVML), which is opened at run time
// where a card has that driver. Its few types and functions that are used are declared here, by
// its published interface; they have been stable since driver 470.
//
// An open library takes 15 MiB of memory that is ours alone (driver 580) and keeps a laptop's card
// from falling asleep; to open it takes some 16 ms. So it stays open only while we use a card, and
// cards that do nothing are then left alone for a while: long enough to fall asleep.
//
// Threading: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/gpu_load.h"

namespace fallow {

class Nvml;

class NvidiaGpus {
 public:
  explicit NvidiaGpus(SensorFolders folders);
  ~NvidiaGpus();

  // One for each card that answers. Process ids are compared as the driver knows them, outside any
  // container: inside one, our own work counts as foreign.
  std::vector<GpuReading> Read(std::span<const std::int64_t> own, SteadyTime now);

 private:
  struct Card {
    std::string pci_address;
    std::string device;             // its folder in sysfs
    std::uint64_t last_sample = 0;  // by the driver's clock
    bool ours = false;              // we use it, or may
  };

  static GpuReading ReadCard(const Nvml& library, void* device, Card& card,
                             std::span<const std::int64_t> own);
  void FindCards();
  bool OpenLibrary(SteadyTime now);

  SensorFolders folders_;
  std::vector<Card> cards_;
  std::unique_ptr<Nvml> library_;  // null: not open
  std::optional<SteadyTime> next_try_;
  // While the cards are left alone, the last reading stands, unless we begin or end meanwhile.
  std::optional<SteadyTime> rest_until_;
  std::vector<GpuReading> last_;
  std::vector<std::int64_t> last_own_;
  int readings_until_scan_ = 0;
};

}  // namespace fallow
