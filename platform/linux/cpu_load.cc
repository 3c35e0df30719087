// Processor time by /proc/stat less our own, pressure by /proc/pressure, memory by /proc/meminfo.
//
// All are the machine's, also inside a container with limits of its own: the question is what
// others do here, not what we may use.
#include "platform/cpu_load.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "platform/linux/kernel_files.h"
#include "platform/linux/own_processor_time.h"

namespace fallow {
namespace {

// Clock ticks (10 ms) per processor before two counts are compared: within less, one tick is a
// visible share.
constexpr std::int64_t kFewestTicksPerProcessor = 10;

// Of one line "cpu …" of /proc/stat, in clock ticks. Guests' time is within user and nice already.
struct ProcessorTicks {
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, io_wait = 0, interrupts = 0,
               soft_interrupts = 0, stolen = 0;

  std::int64_t busy() const { return user + nice + system + interrupts + soft_interrupts; }
  std::int64_t resting() const { return idle + io_wait; }
  // Time that a hypervisor gave to others is nobody's on this machine, but it passed.
  std::int64_t all() const { return busy() + resting() + stolen; }

  // No count stepped back.
  bool Continues(const ProcessorTicks& before) const {
    return user >= before.user && nice >= before.nice && system >= before.system &&
           resting() >= before.resting() && interrupts >= before.interrupts &&
           soft_interrupts >= before.soft_interrupts && stolen >= before.stolen;
  }
};

struct ProcessorStat {
  ProcessorTicks ticks;
  std::uint32_t processors = 0;

  // A processor that came or went takes its count with it.
  bool Continues(const ProcessorStat& before) const {
    return processors == before.processors && ticks.Continues(before.ticks);
  }
};

std::string_view TakeLine(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

std::string_view TakeWord(std::string_view& text) {
  text = Trimmed(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

std::optional<ProcessorTicks> ParseTicks(std::string_view numbers) {
  // Kernels before 2.6.11 do not count stolen time; those since count guests as well.
  std::array<std::int64_t, 8> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string_view word = TakeWord(numbers);
    if (word.empty() && i >= 7) break;
    const auto value = ParseKernelNumber(word);
    if (!value || *value < 0) return std::nullopt;
    values[i] = *value;
  }
  return ProcessorTicks{values[0], values[1], values[2], values[3],
                        values[4], values[5], values[6], values[7]};
}

std::optional<ProcessorStat> ParseProcessorStat(std::string_view text) {
  std::optional<ProcessorTicks> ticks;
  std::uint32_t processors = 0;
  while (text.starts_with("cpu")) {
    std::string_view line = TakeLine(text);
    const std::string_view name = TakeWord(line);
    if (name == "cpu") {
      ticks = ParseTicks(line);
    } else {
      ++processors;
    }
  }
  if (!ticks || processors == 0) return std::nullopt;
  return ProcessorStat{*ticks, processors};
}

// "some avg10=13.82 avg60=…" -> 0.1382
std::optional<double> PressureShare(const std::string& path) {
  constexpr std::string_view kStart = "some avg10=";
  const auto text = ReadKernelText(path, 256);
  if (!text || !text->starts_with(kStart)) return std::nullopt;
  char* end = nullptr;
  const double percent = std::strtod(text->c_str() + kStart.size(), &end);
  if (end == text->c_str() + kStart.size() || !(percent >= 0 && percent <= 100)) {
    return std::nullopt;
  }
  return percent / 100;
}

// "MemTotal:       4030936 kB", in bytes.
std::optional<std::uint64_t> MemoryLine(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    const auto kib = ParseKernelNumber(TakeWord(line));
    if (!kib || *kib < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*kib) * 1024;
  }
  return std::nullopt;
}

class KernelCpuLoadSensor : public CpuLoadSensor {
 public:
  explicit KernelCpuLoadSensor(SensorFolders folders)
      : folders_(std::move(folders)), own_time_(folders_.proc) {}

  CpuReading Read(std::span<const std::int64_t> own) override {
    CpuReading reading;
    ReadProcessors(own, reading);
    reading.pressure_share = PressureShare(folders_.proc + "/pressure/cpu");
    reading.memory_pressure_share = PressureShare(folders_.proc + "/pressure/memory");
    const std::string memory = ReadKernelText(folders_.proc + "/meminfo").value_or("");
    reading.memory_total_bytes = MemoryLine(memory, "MemTotal:").value_or(0);
    reading.memory_available_bytes = MemoryLine(memory, "MemAvailable:");
    if (reading.memory_total_bytes == 0) AddTrouble(reading, "/meminfo");
    if (reading.memory_available_bytes > reading.memory_total_bytes) {
      reading.memory_available_bytes.reset();
    }
    return reading;
  }

 private:
  void AddTrouble(CpuReading& reading, std::string_view file) const {
    if (!reading.trouble.empty()) reading.trouble += ", ";
    reading.trouble += folders_.proc;
    reading.trouble += file;
    reading.trouble += " cannot be read";
  }

  void ReadProcessors(std::span<const std::int64_t> own, CpuReading& reading) {
    const auto text = ReadKernelText(folders_.proc + "/stat");
    const auto now = text ? ParseProcessorStat(*text) : std::nullopt;
    if (!now) {
      AddTrouble(reading, "/stat");
      last_.reset();
      share_.reset();
      return;
    }
    reading.processor_count = now->processors;
    const bool continues = last_ && now->Continues(*last_);
    const std::int64_t passed = continues ? now->ticks.all() - last_->ticks.all() : 0;
    if (!continues || passed >= kFewestTicksPerProcessor * now->processors) {
      const auto ours = own_time_.TicksSinceLast(own);
      share_ = continues && ours ? std::optional(ForeignShare(*last_, *now, *ours)) : std::nullopt;
      last_ = now;
    }
    reading.foreign_share = share_;
  }

  static double ForeignShare(const ProcessorStat& before, const ProcessorStat& now,
                             std::int64_t ours) {
    const std::int64_t all = now.ticks.all() - before.ticks.all();
    const std::int64_t busy = now.ticks.busy() - before.ticks.busy();
    // Ours was counted a moment later: it may seem a little more than all that was busy.
    return std::clamp(static_cast<double>(busy - ours) / static_cast<double>(all), 0.0, 1.0);
  }

  SensorFolders folders_;
  OwnProcessorTime own_time_;
  std::optional<ProcessorStat> last_;
  std::optional<double> share_;  // of the last two counts that lie far enough apart
};

}  // namespace

std::unique_ptr<CpuLoadSensor> NewCpuLoadSensor(SensorFolders folders) {
  return std::make_unique<KernelCpuLoadSensor>(std::move(folders));
}

}  // namespace fallow
