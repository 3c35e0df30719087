// Who uses which graphics card, by the kernel's account of each open card file
// (Documentation/gpu/drm-usage-stats).
//
// A client is one opening of a card; copies of its file, in one process or handed to another, are
// the same client.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace fallow {

struct DrmEngine {
  std::uint64_t busy = 0;               // ns; cycles where `passed` is known
  std::optional<std::uint64_t> passed;  // cycles that went by, busy or not
  std::uint32_t capacity = 1;           // engines of this kind
};

struct DrmClient {
  std::string pci_address;  // empty: the card is no PCI device
  std::string id;           // within the card
  std::map<std::string, DrmEngine> engines;
  std::uint64_t device_memory_bytes = 0;  // in the card's own memory
};

// None if the file is not one of a card, or its driver keeps no account.
std::optional<DrmClient> ParseDrmFdinfo(std::string_view text);

// What one card's clients did.
struct DrmUse {
  // Of the busiest kind of engine, 0 to 1, since the reading before; none at the first.
  std::optional<double> all_share;
  std::optional<double> own_share;
  std::optional<double> foreign_share;
  std::uint64_t own_memory_bytes = 0;
  bool accounted = false;  // its driver keeps an account of engines
  bool ours = false;       // one of its clients is
};

struct DrmReading {
  std::map<std::string, DrmUse> cards;  // by PCI address
  bool saw_all = false;                 // no process was closed to us
  bool saw_ours = false;                // none of our own was
};

// Reads all processes' accounts.
//
// To list all files of all processes each time would cost more than all other sensors together: a
// process of others is searched for card files in its first three readings and then every twelfth.
//
// Threading: one thread.
class DrmClients {
 public:
  // `proc`: where procfs is mounted.
  explicit DrmClients(std::string proc) : proc_(std::move(proc)) {}

  DrmReading Read(std::span<const std::int64_t> own, SteadyTime now);

 private:
  using ClientKey = std::pair<std::string, std::string>;  // card, id
  struct Process {
    int readings = 0;
    bool closed = false;             // we may not look into it
    std::vector<std::string> files;  // names in its fd folder
  };
  struct Seen {
    DrmClient client;
    bool ours = false;
  };

  void Look(std::int64_t process_id, bool ours, std::map<ClientKey, Seen>& clients);
  void Search(std::int64_t process_id, Process& process);
  void Compare(const std::map<ClientKey, Seen>& clients, double seconds,
               std::map<std::string, DrmUse>& cards) const;

  std::string proc_;
  std::map<std::int64_t, Process> processes_;
  std::map<ClientKey, Seen> last_clients_;
  std::map<std::string, DrmUse> last_uses_;
  std::optional<SteadyTime> last_read_;
};

}  // namespace fallow
