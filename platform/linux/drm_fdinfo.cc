#include "platform/linux/drm_fdinfo.h"

#include <algorithm>
#include <chrono>

#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

constexpr int kReadingsWhenYoung = 3;
constexpr int kReadingsBetweenSearches = 12;
constexpr std::size_t kMaxCardFilesPerProcess = 256;
constexpr std::size_t kMaxClients = 4096;
constexpr std::size_t kMaxEngines = 64;
constexpr std::size_t kMaxFdinfoBytes = 16 << 10;
// Drivers bring their accounts up to date when work changes; a shorter time tells little.
constexpr std::chrono::milliseconds kShortestInterval{100};

// "1234 KiB" -> bytes.
std::optional<std::uint64_t> ParseSize(std::string_view text) {
  const std::string_view number = text.substr(0, text.find(' '));
  const auto value = ParseKernelNumber(number);
  if (!value || *value < 0) return std::nullopt;
  const std::string_view unit = Trimmed(text.substr(number.size()));
  const int shift = unit == "KiB" ? 10 : unit == "MiB" ? 20 : 0;
  if (!unit.empty() && shift == 0) return std::nullopt;
  if (*value > (std::int64_t{1} << 42)) return std::nullopt;  // shifted, it still fits
  return static_cast<std::uint64_t>(*value) << shift;
}

std::optional<std::uint64_t> ParseCount(std::string_view text) {
  const auto value = ParseKernelNumber(text.substr(0, text.find(' ')));
  if (!value || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

// "vram", "vram0" (amdgpu, xe), "local0" (i915): the card's own memory. Others are the system's.
bool IsDeviceMemory(std::string_view region) {
  return region.starts_with("vram") || region.starts_with("local");
}

// One account while its lines come in.
class Account {
 public:
  void Take(std::string_view key, std::string_view value) {
    if (key == "drm-pdev") {
      client_.pci_address = value;
    } else if (key == "drm-client-id") {
      client_.id = value;
    } else if (const auto engine = After(key, "drm-engine-capacity-")) {
      if (const auto count = ParseCount(value); count && *count > 0 && *count <= 1024) {
        if (DrmEngine* known = Engine(*engine))
          known->capacity = static_cast<std::uint32_t>(*count);
      }
    } else if (const auto timed = After(key, "drm-engine-")) {
      SetCount(times_, *timed, value);
    } else if (const auto all_cycles = After(key, "drm-total-cycles-")) {
      SetCount(passed_, *all_cycles, value);
    } else if (const auto cycles = After(key, "drm-cycles-")) {
      SetCount(cycles_, *cycles, value);
    } else {
      TakeMemory(key, value);
    }
  }

  std::optional<DrmClient> Finish() {
    if (client_.id.empty()) return std::nullopt;
    for (const auto& [name, nanoseconds] : times_) {
      if (DrmEngine* engine = Engine(name)) engine->busy = nanoseconds;
    }
    // A count of cycles tells a share only beside those that went by.
    for (const auto& [name, cycles] : cycles_) {
      const auto passed = passed_.find(name);
      if (times_.contains(name) || passed == passed_.end()) continue;
      DrmEngine* engine = Engine(name);
      if (engine == nullptr) continue;
      engine->busy = cycles;
      engine->passed = passed->second;
    }
    std::erase_if(client_.engines, [&](const auto& named) {
      return !times_.contains(named.first) && !named.second.passed;
    });
    const auto memory =
        std::ranges::find_if(memory_, [](const auto& kind) { return kind.second.has_value(); });
    if (memory != memory_.end()) client_.device_memory_bytes = *memory->second;
    return std::move(client_);
  }

 private:
  using Counts = std::map<std::string, std::uint64_t, std::less<>>;

  static std::optional<std::string_view> After(std::string_view key, std::string_view prefix) {
    if (!key.starts_with(prefix)) return std::nullopt;
    return key.substr(prefix.size());
  }

  DrmEngine* Engine(std::string_view name) {
    if (client_.engines.size() == kMaxEngines) return nullptr;
    return &client_.engines[std::string(name)];
  }

  static void SetCount(Counts& counts, std::string_view name, std::string_view value) {
    const auto count = ParseCount(value);
    if (count && counts.size() < kMaxEngines) counts[std::string(name)] = *count;
  }

  void TakeMemory(std::string_view key, std::string_view value) {
    for (auto& [prefix, bytes] : memory_) {
      const auto region = After(key, prefix);
      if (!region || !IsDeviceMemory(*region)) continue;
      if (const auto size = ParseSize(value)) bytes = bytes.value_or(0) + *size;
    }
  }

  DrmClient client_;
  Counts times_;   // ns
  Counts cycles_;  // busy
  Counts passed_;  // busy or not
  // What is in the card now, then what was asked for: the first that a driver tells counts.
  std::vector<std::pair<std::string_view, std::optional<std::uint64_t>>> memory_ = {
      {"drm-resident-", {}}, {"drm-memory-", {}}, {"drm-total-", {}}};
};

// Shares of each kind of engine.
using Shares = std::map<std::string, double, std::less<>>;

double Busiest(const Shares& shares) {
  double busiest = 0;
  for (const auto& [engine, share] : shares) busiest = std::max(busiest, share);
  return std::min(busiest, 1.0);
}

std::optional<double> EngineShare(const DrmEngine& before, const DrmEngine& now, double seconds) {
  if (now.busy < before.busy) return std::nullopt;
  double passed = seconds * 1e9;
  if (now.passed && before.passed) {
    if (*now.passed <= *before.passed) return std::nullopt;
    passed = static_cast<double>(*now.passed - *before.passed);
  }
  return static_cast<double>(now.busy - before.busy) / passed / now.capacity;
}

}  // namespace

std::optional<DrmClient> ParseDrmFdinfo(std::string_view text) {
  Account account;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !line.starts_with("drm-")) continue;
    account.Take(line.substr(0, colon), Trimmed(line.substr(colon + 1)));
  }
  return account.Finish();
}

DrmReading DrmClients::Read(std::span<const std::int64_t> own, SteadyTime now) {
  const auto ids = ProcessIdsIn(proc_);
  std::erase_if(processes_, [&](const auto& process) {
    return !std::ranges::binary_search(ids, process.first);
  });
  DrmReading reading{.cards = {}, .saw_all = true, .saw_ours = true};
  std::map<ClientKey, Seen> clients;
  // Ours first: a client that two processes share counts as ours.
  for (const bool ours : {true, false}) {
    for (const std::int64_t id : ids) {
      if ((std::ranges::find(own, id) != own.end()) != ours) continue;
      Look(id, ours, clients);
      const bool closed = processes_[id].closed;
      reading.saw_all = reading.saw_all && !closed;
      reading.saw_ours = reading.saw_ours && !(ours && closed);
    }
  }
  for (const auto& [key, seen] : clients) {
    DrmUse& use = reading.cards[key.first];
    use.accounted = use.accounted || !seen.client.engines.empty();
    use.ours = use.ours || seen.ours;
    if (seen.ours) use.own_memory_bytes += seen.client.device_memory_bytes;
  }
  const auto interval = last_read_ ? now - *last_read_ : kShortestInterval;
  if (last_read_ && interval < kShortestInterval) {
    for (auto& [card, use] : reading.cards) {
      const DrmUse& last = last_uses_[card];
      use.all_share = last.all_share;
      use.own_share = last.own_share;
      use.foreign_share = last.foreign_share;
    }
    return reading;
  }
  if (last_read_) Compare(clients, std::chrono::duration<double>(interval).count(), reading.cards);
  last_read_ = now;
  last_clients_ = std::move(clients);
  last_uses_ = reading.cards;
  return reading;
}

void DrmClients::Look(std::int64_t process_id, bool ours, std::map<ClientKey, Seen>& clients) {
  Process& process = processes_[process_id];
  const bool young = process.readings < kReadingsWhenYoung;
  // Each has its turn at another reading.
  const bool its_turn = (process.readings + process_id) % kReadingsBetweenSearches == 0;
  ++process.readings;
  if (ours || young || its_turn) Search(process_id, process);
  const std::string folder = proc_ + "/" + std::to_string(process_id) + "/fdinfo/";
  for (const std::string& file : process.files) {
    const auto text = ReadKernelText(folder + file, kMaxFdinfoBytes);
    auto client = text ? ParseDrmFdinfo(*text) : std::nullopt;
    if (!client || clients.size() == kMaxClients) continue;
    const ClientKey key(client->pci_address, client->id);
    clients.try_emplace(key, Seen{.client = *std::move(client), .ours = ours});
  }
}

void DrmClients::Search(std::int64_t process_id, Process& process) {
  process.files.clear();
  const std::string folder = proc_ + "/" + std::to_string(process_id) + "/fd";
  const auto names = ListNames(folder);
  process.closed = !names && names.error().code == ErrorCode::kPermissionDenied;
  if (!names) return;
  for (const std::string& name : *names) {
    // By its name alone: to ask the file itself could wait for a server that is gone.
    const auto target = LinkTarget(folder + "/" + name);
    if (!target || !target->starts_with("/dev/dri/")) continue;
    process.files.push_back(name);
    if (process.files.size() == kMaxCardFilesPerProcess) return;
  }
}

void DrmClients::Compare(const std::map<ClientKey, Seen>& clients, double seconds,
                         std::map<std::string, DrmUse>& cards) const {
  struct CardShares {
    Shares all, own, foreign;
  };
  std::map<std::string, CardShares> shares;
  for (const auto& [key, seen] : clients) {
    const auto before = last_clients_.find(key);
    // What a new client did before it was found is not of this interval.
    if (before == last_clients_.end()) continue;
    CardShares& card = shares[key.first];
    for (const auto& [name, engine] : seen.client.engines) {
      const auto engine_before = before->second.client.engines.find(name);
      if (engine_before == before->second.client.engines.end()) continue;
      const auto share = EngineShare(engine_before->second, engine, seconds);
      if (!share) continue;
      card.all[name] += *share;
      (seen.ours ? card.own : card.foreign)[name] += *share;
    }
  }
  for (auto& [address, use] : cards) {
    if (!use.accounted) continue;
    const CardShares& card = shares[address];
    use.all_share = Busiest(card.all);
    use.own_share = Busiest(card.own);
    use.foreign_share = Busiest(card.foreign);
  }
}

}  // namespace fallow
