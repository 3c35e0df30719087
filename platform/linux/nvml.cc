#include "platform/linux/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <map>

#include "platform/linux/graphics_sleep.h"
#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// ---- The library's interface, as it publishes it ----

using Device = void*;
constexpr int kSuccess = 0;
constexpr int kInsufficientSize = 7;
constexpr int kTemperatureOfGpu = 0;
constexpr std::uint64_t kNotAvailable = ~std::uint64_t{0};

struct Utilization {
  unsigned gpu, memory;  // percent
};
struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {  // of the functions that end in _v2; those in _v3 had two layouts
  unsigned process_id;
  unsigned long long used_memory;
  unsigned gpu_instance, compute_instance;
};
struct ProcessSample {
  unsigned process_id;
  unsigned long long time_us;
  unsigned sm, memory, encoder, decoder;  // percent
};

// ---- What we make of it ----

constexpr std::size_t kMaxCards = 32;
constexpr unsigned kMaxProcesses = 4096;
constexpr std::uint32_t kMaxProcessId = 1u << 22;  // the kernel's own limit
constexpr double kMaxWatts = 5000;
constexpr int kReadingsBetweenScans = 60;
constexpr std::chrono::seconds kTimeBetweenTries{60};
// Cards were seen to fall asleep within ten seconds; and what opening takes is then little.
constexpr std::chrono::seconds kRest{20};

}  // namespace

// The open library.
class Nvml {
 public:
  // Null if it is not there, is not whole, or does not start (no driver, or not that of the
  // library).
  static std::unique_ptr<Nvml> Open(const std::string& name) {
    std::unique_ptr<Nvml> library(new Nvml(::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL)));
    if (library->handle_ == nullptr || !library->FindFunctions()) return nullptr;
    library->started_ = library->init_() == kSuccess;
    return library->started_ ? std::move(library) : nullptr;
  }
  ~Nvml() {
    if (started_) shutdown_();
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::optional<Device> Find(const std::string& pci_address) const {
    Device device = nullptr;
    if (find_(pci_address.c_str(), &device) != kSuccess) return std::nullopt;
    return device;
  }

  std::string Name(Device device) const {
    std::array<char, 96> name{};
    if (name_(device, name.data(), name.size()) != kSuccess) return {};
    return std::string(name.begin(), std::ranges::find(name, '\0'));
  }
  std::optional<double> BusyShare(Device device) const {
    const auto use = Get<Utilization>(utilization_, device);
    if (!use || use->gpu > 100) return std::nullopt;
    return use->gpu / 100.0;
  }
  std::optional<Memory> MemoryUse(Device device) const {
    const auto memory = Get<Memory>(memory_, device);
    if (!memory || memory->total == 0 || memory->used > memory->total) return std::nullopt;
    return memory;
  }
  std::optional<double> Celsius(Device device) const {
    unsigned celsius = 0;
    if (temperature_ == nullptr || temperature_(device, kTemperatureOfGpu, &celsius) != kSuccess) {
      return std::nullopt;
    }
    return celsius <= 150 ? std::optional<double>(celsius) : std::nullopt;
  }
  std::optional<double> Watts(Device device) const { return Power(power_, device); }
  std::optional<double> WattsLimit(Device device) const {
    const auto limit = Power(power_limit_, device);
    return limit && *limit > 0 ? limit : std::nullopt;
  }
  // A monitor is connected, or a display server draws with it.
  std::optional<bool> DrivesDisplay(Device device) const {
    const auto connected = Get<int>(display_mode_, device);
    const auto active = Get<int>(display_active_, device);
    if (!connected && !active) return std::nullopt;
    return connected == 1 || active == 1;
  }

  // Bytes by process; no bytes where the driver does not tell. None if the list is not to be had or
  // makes no sense.
  using ProcessMemory = std::map<std::int64_t, std::optional<std::uint64_t>>;
  std::optional<ProcessMemory> Processes(Device device) const {
    ProcessMemory all;
    for (const auto list : {compute_processes_, graphics_processes_}) {
      const auto listed = List(list, device);
      if (!listed) return std::nullopt;
      for (const ProcessInfo& process : *listed) {
        if (process.process_id == 0 || process.process_id > kMaxProcessId) return std::nullopt;
        auto& bytes = all[process.process_id];
        // One that computes and draws is in both lists, with the same memory.
        if (process.used_memory == kNotAvailable) continue;
        bytes = std::max<std::uint64_t>(bytes.value_or(0), process.used_memory);
      }
    }
    return all;
  }

  // Each process's mean share since `after` (the driver's clock, which is moved on); none if
  // nothing was sampled.
  std::optional<std::map<std::int64_t, double>> ProcessShares(Device device,
                                                              std::uint64_t& after) const {
    if (process_samples_ == nullptr) return std::nullopt;
    unsigned count = 0;
    if (process_samples_(device, nullptr, &count, after) != kInsufficientSize || count == 0 ||
        count > kMaxProcesses) {
      return std::nullopt;
    }
    std::vector<ProcessSample> samples(count);
    if (process_samples_(device, samples.data(), &count, after) != kSuccess) return std::nullopt;
    samples.resize(std::min<std::size_t>(samples.size(), count));
    struct Sum {
      double percent = 0;
      int samples = 0;
    };
    std::map<std::int64_t, Sum> sums;
    const std::uint64_t since = after;
    for (const ProcessSample& sample : samples) {
      if (sample.time_us <= since || sample.sm > 100) continue;
      after = std::max<std::uint64_t>(after, sample.time_us);
      Sum& sum = sums[sample.process_id];
      sum.percent += sample.sm;
      ++sum.samples;
    }
    if (sums.empty()) return std::nullopt;
    std::map<std::int64_t, double> shares;
    for (const auto& [id, sum] : sums) shares[id] = sum.percent / sum.samples / 100;
    return shares;
  }

 private:
  template <class T>
  using Getter = int (*)(Device, T*);
  using ProcessList = int (*)(Device, unsigned*, ProcessInfo*);

  explicit Nvml(void* handle) : handle_(handle) {}

  template <class Function>
  bool FindFunction(Function& function, const char* name) {
    function = reinterpret_cast<Function>(::dlsym(handle_, name));
    return function != nullptr;
  }

  // False if one is missing without which the library is of no use.
  bool FindFunctions() {
    FindFunction(utilization_, "nvmlDeviceGetUtilizationRates");
    FindFunction(memory_, "nvmlDeviceGetMemoryInfo");
    FindFunction(temperature_, "nvmlDeviceGetTemperature");
    FindFunction(power_, "nvmlDeviceGetPowerUsage");
    FindFunction(power_limit_, "nvmlDeviceGetEnforcedPowerLimit");
    FindFunction(display_mode_, "nvmlDeviceGetDisplayMode");
    FindFunction(display_active_, "nvmlDeviceGetDisplayActive");
    FindFunction(compute_processes_, "nvmlDeviceGetComputeRunningProcesses_v2");
    FindFunction(graphics_processes_, "nvmlDeviceGetGraphicsRunningProcesses_v2");
    FindFunction(process_samples_, "nvmlDeviceGetProcessUtilization");
    return FindFunction(init_, "nvmlInit_v2") && FindFunction(shutdown_, "nvmlShutdown") &&
           FindFunction(find_, "nvmlDeviceGetHandleByPciBusId_v2") &&
           FindFunction(name_, "nvmlDeviceGetName");
  }

  template <class T>
  static std::optional<T> Get(Getter<T> getter, Device device) {
    T value{};
    if (getter == nullptr || getter(device, &value) != kSuccess) return std::nullopt;
    return value;
  }

  static std::optional<double> Power(Getter<unsigned> getter, Device device) {
    const auto milliwatts = Get<unsigned>(getter, device);
    if (!milliwatts || *milliwatts / 1000.0 > kMaxWatts) return std::nullopt;
    return *milliwatts / 1000.0;
  }

  static std::optional<std::vector<ProcessInfo>> List(ProcessList list, Device device) {
    if (list == nullptr) return std::nullopt;
    // Doubled while processes come faster than we ask.
    for (unsigned room = 64; room <= kMaxProcesses; room *= 2) {
      std::vector<ProcessInfo> processes(room);
      unsigned count = room;
      const int status = list(device, &count, processes.data());
      if (status == kInsufficientSize) continue;
      if (status != kSuccess || count > room) return std::nullopt;
      processes.resize(count);
      return processes;
    }
    return std::nullopt;
  }

  void* handle_;
  bool started_ = false;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*find_)(const char*, Device*) = nullptr;
  int (*name_)(Device, char*, unsigned) = nullptr;
  int (*temperature_)(Device, int, unsigned*) = nullptr;
  int (*process_samples_)(Device, ProcessSample*, unsigned*, unsigned long long) = nullptr;
  Getter<Utilization> utilization_ = nullptr;
  Getter<Memory> memory_ = nullptr;
  Getter<unsigned> power_ = nullptr;
  Getter<unsigned> power_limit_ = nullptr;
  Getter<int> display_mode_ = nullptr;
  Getter<int> display_active_ = nullptr;
  ProcessList compute_processes_ = nullptr;
  ProcessList graphics_processes_ = nullptr;
};

namespace {

bool IsOwn(std::span<const std::int64_t> own, std::int64_t process_id) {
  return std::ranges::find(own, process_id) != own.end();
}

// What is left of `used` without ours; none if the driver does not tell ours.
std::optional<std::uint64_t> ForeignMemory(std::uint64_t used, const Nvml::ProcessMemory& processes,
                                           std::span<const std::int64_t> own) {
  std::uint64_t ours = 0;
  for (const auto& [id, bytes] : processes) {
    if (!IsOwn(own, id)) continue;
    if (!bytes) return std::nullopt;
    ours += *bytes;
  }
  return used - std::min(used, ours);
}

// Whether any of `own` uses the card, or may: not every driver tells.
bool MayBeUsedBy(std::span<const std::int64_t> own,
                 const std::optional<Nvml::ProcessMemory>& processes) {
  if (own.empty() || !processes) return !own.empty();
  return std::ranges::any_of(*processes,
                             [&](const auto& process) { return IsOwn(own, process.first); });
}

std::optional<double> ForeignShare(double busy,
                                   const std::optional<std::map<std::int64_t, double>>& shares,
                                   std::span<const std::int64_t> own) {
  if (busy == 0) return busy;
  if (!shares) return std::nullopt;
  double foreign = 0;
  for (const auto& [id, share] : *shares) {
    if (!IsOwn(own, id)) foreign += share;
  }
  return std::min(foreign, busy);
}

}  // namespace

NvidiaGpus::NvidiaGpus(SensorFolders folders) : folders_(std::move(folders)) {}
NvidiaGpus::~NvidiaGpus() = default;

void NvidiaGpus::FindCards() {
  const std::string devices = folders_.sys + "/bus/pci/devices/";
  std::vector<Card> found;
  for (const std::string& address : NamesIn(devices)) {
    const std::string device = devices + address;
    if (ReadKernelText(device + "/vendor", 64) != "0x10de") continue;
    // Display controllers alone: such a card has a sound device too.
    if (!ReadKernelText(device + "/class", 64).value_or("").starts_with("0x03")) continue;
    const auto driver = LinkTarget(device + "/driver");
    if (!driver || LastPart(*driver) != "nvidia" || found.size() == kMaxCards) continue;
    const auto known = std::ranges::find(cards_, address, &Card::pci_address);
    found.push_back(known != cards_.end() ? *known : Card{address, device});
  }
  cards_ = std::move(found);
}

bool NvidiaGpus::OpenLibrary(SteadyTime now) {
  if (library_ != nullptr) return true;
  if (next_try_ && now < *next_try_) return false;
  library_ = Nvml::Open(folders_.nvidia_library);
  if (library_ == nullptr) next_try_ = now + kTimeBetweenTries;
  return library_ != nullptr;
}

GpuReading NvidiaGpus::ReadCard(const Nvml& library, void* device, Card& card,
                                std::span<const std::int64_t> own) {
  GpuReading reading{.pci_address = card.pci_address, .name = library.Name(device)};
  const auto processes = library.Processes(device);
  const auto shares = library.ProcessShares(device, card.last_sample);
  reading.busy_share = library.BusyShare(device);
  const bool ours = MayBeUsedBy(own, processes);
  if (reading.busy_share) {
    reading.foreign_busy_share =
        ours ? ForeignShare(*reading.busy_share, shares, own) : reading.busy_share;
  }
  if (const auto memory = library.MemoryUse(device)) {
    reading.memory_total_bytes = memory->total;
    reading.memory_used_bytes = memory->used;
    if (!ours) {
      reading.foreign_memory_bytes = memory->used;
    } else if (processes) {
      reading.foreign_memory_bytes = ForeignMemory(memory->used, *processes, own);
    }
  }
  reading.drives_display = library.DrivesDisplay(device);
  reading.celsius = library.Celsius(device);
  reading.watts = library.Watts(device);
  reading.watts_limit = library.WattsLimit(device);
  card.ours = ours;
  return reading;
}

std::vector<GpuReading> NvidiaGpus::Read(std::span<const std::int64_t> own, SteadyTime now) {
  if (folders_.nvidia_library.empty()) return {};
  if (readings_until_scan_-- <= 0) {
    FindCards();
    readings_until_scan_ = kReadingsBetweenScans;
  }
  const bool same_own = std::ranges::equal(own, last_own_);
  if (same_own && rest_until_ && now < *rest_until_) return last_;
  last_own_.assign(own.begin(), own.end());
  rest_until_.reset();
  last_.clear();
  bool ours = false;
  bool idle = true;
  for (Card& card : cards_) {
    if (DeviceSleeps(card.device)) {
      last_.push_back({.pci_address = card.pci_address, .name = "nvidia " + card.pci_address});
      continue;
    }
    if (!OpenLibrary(now)) break;
    const auto device = library_->Find(card.pci_address);
    if (!device) continue;
    last_.push_back(ReadCard(*library_, *device, card, own));
    ours = ours || card.ours;
    idle = idle && last_.back().busy_share == 0.0;
  }
  if (library_ != nullptr && !ours) {
    library_.reset();
    if (idle) rest_until_ = now + kRest;
  }
  return last_;
}

}  // namespace fallow
