#include "agent/daemon/policy/setting_specs.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "agent/daemon/policy/near_words.h"
#include "agent/daemon/policy/setting_value.h"

namespace fallow {
namespace {

constexpr double kSecond = 1000, kHour = 3'600'000;
constexpr double kMaxMib = 1 << 24;  // 16 TiB

// A spec's field: FIELD(presence.idle_after) is a function from settings to that member.
template <class T>
SettingField Field(FieldOf<T> field) {
  return field;
}
#define FIELD(type, member) Field<type>([](Settings& settings) -> type& { return settings.member; })

std::vector<SettingSpec> MakeSpecs() {
  using Milliseconds = std::chrono::milliseconds;
  using MaybeNumber = std::optional<double>;
  using Names = std::vector<std::string>;
  using Spans = std::vector<Settings::Schedule::Span>;
  const std::vector<std::string_view> levels = {"silent", "quiet", "balanced", "full"};
  return {
      {"presence.idle_after",
       "",
       kSecond,
       24 * kHour,
       {},
       "how long without input before the machine counts as free",
       FIELD(Milliseconds, presence.idle_after)},
      {"presence.dedicated",
       "",
       0,
       0,
       {},
       "a machine without an owner: input, session signals and others' load do not count",
       FIELD(bool, presence.dedicated)},
      {"presence.full_screen",
       "",
       0,
       0,
       {},
       "whether a full-screen program counts as use",
       FIELD(bool, presence.full_screen)},
      {"presence.game_mode",
       "",
       0,
       0,
       {},
       "whether GameMode counts as use",
       FIELD(bool, presence.game_mode)},
      {"presence.idle_inhibitors",
       "",
       0,
       0,
       {},
       "whether a program that keeps the screen awake (video, calls) counts as use",
       FIELD(bool, presence.idle_inhibitors)},
      {"presence.programs",
       "",
       0,
       kMaxPrograms,
       {},
       "names of programs; while one of them runs, the machine is in use",
       FIELD(Names, presence.owner_programs)},

      {"load.foreign_cpu_percent",
       "percent",
       1,
       100,
       {},
       "other programs' share of all processors above which work waits; 100: never",
       FIELD(double, load.foreign_cpu_percent)},
      {"load.foreign_gpu_percent",
       "percent",
       1,
       100,
       {},
       "other programs' share of a GPU above which work waits; 100: never",
       FIELD(double, load.foreign_gpu_percent)},
      {"load.cpu_pressure_percent",
       "percent",
       1,
       100,
       {},
       "share of the last 10 s in which programs waited for a processor; 100: never",
       FIELD(double, load.cpu_pressure_percent)},
      {"load.min_free_memory_mib",
       "MiB",
       0,
       kMaxMib,
       {},
       "memory that stays free for other programs; below it work waits",
       FIELD(std::uint64_t, load.min_free_memory_mib)},
      {"load.min_free_gpu_memory_mib",
       "MiB",
       0,
       kMaxMib,
       {},
       "GPU memory that stays free for other programs; below it work waits",
       FIELD(std::uint64_t, load.min_free_gpu_memory_mib)},

      {"power.on_battery",
       "",
       0,
       0,
       {},
       "whether to work on battery",
       FIELD(bool, power.on_battery)},
      {"power.on_power_saver",
       "",
       0,
       0,
       {},
       "whether to work while the machine is set to save power",
       FIELD(bool, power.on_power_saver)},
      {"power.on_metered_network",
       "",
       0,
       0,
       {},
       "whether to work over a network that is paid by volume",
       FIELD(bool, power.on_metered_network)},

      {"quiet.level", "percent", 0, 100, levels,
       "from silent (0) to full (100): gives the ceilings below, and how much of the time",
       FIELD(int, quiet.level_percent)},
      {"quiet.cpu_ceiling_celsius",
       "°C",
       40,
       105,
       {},
       "the processor is held at or below this; unset: by the level",
       FIELD(MaybeNumber, quiet.cpu_ceiling_celsius)},
      {"quiet.gpu_ceiling_celsius",
       "°C",
       40,
       105,
       {},
       "GPUs are held at or below this; unset: by the level",
       FIELD(MaybeNumber, quiet.gpu_ceiling_celsius)},
      {"quiet.watts_limit",
       "W",
       5,
       5000,
       {},
       "what processors and GPUs draw together, as far as measured; unset: GPUs by the level",
       FIELD(MaybeNumber, quiet.watts_limit)},

      {"schedule.allowed",
       "",
       0,
       kMaxScheduleSpans,
       {},
       "when work is allowed, as \"mon-fri 19:00-07:00\" or \"sat,sun\"; empty: always",
       FIELD(Spans, schedule.allowed)},

      {"limits.memory_mib",
       "MiB",
       0,
       kMaxMib,
       {},
       "memory for models and their work; 0: what fits",
       FIELD(std::uint64_t, limits.memory_mib)},
      {"limits.gpu_memory_mib",
       "MiB",
       0,
       kMaxMib,
       {},
       "GPU memory for models and their work; 0: what fits",
       FIELD(std::uint64_t, limits.gpu_memory_mib)},
      {"limits.disk_gib", "GiB", 0.001, 1e6, {}, "disk for models", FIELD(double, limits.disk_gib)},
      {"limits.download_kib_s",
       "KiB/s",
       0,
       kMaxMib,
       {},
       "download rate; 0: no limit",
       FIELD(std::uint64_t, limits.download_kib_s)},
      {"limits.upload_kib_s",
       "KiB/s",
       0,
       kMaxMib,
       {},
       "upload rate; 0: no limit",
       FIELD(std::uint64_t, limits.upload_kib_s)},

      {"compute.backend",
       "",
       0,
       0,
       {"auto", "vulkan", "cpu"},
       "what to compute on",
       FIELD(std::string, compute.backend)},
      {"compute.device",
       "",
       0,
       0,
       {},
       "the Vulkan device: its name, index or type; empty: the best",
       FIELD(std::string, compute.device)},
      {"compute.threads",
       "",
       0,
       1024,
       {},
       "of the CPU backend; 0: one per processor",
       FIELD(std::uint32_t, compute.threads)},
      {"compute.max_sequences",
       "",
       1,
       1024,
       {},
       "requests computed at once",
       FIELD(std::uint32_t, compute.max_sequences)},
      {"compute.keep_model_for",
       "",
       0,
       24 * kHour,
       {},
       "how long a model stays in memory while the owner is there",
       FIELD(Milliseconds, compute.keep_model_for)},
      {"compute.yield_display_gpu_alone",
       "",
       0,
       0,
       {},
       "while the owner is there, work goes on on GPUs that drive no display",
       FIELD(bool, compute.yield_display_gpu_alone)},
  };
}
#undef FIELD

std::string_view NameOf(std::string_view key) {
  return key.substr(key.rfind('.') + 1);
}
std::string_view SectionOf(std::string_view key) {
  return key.substr(0, key.find('.'));
}

}  // namespace

std::span<const SettingSpec> SettingSpecs() {
  static const std::vector<SettingSpec> specs = MakeSpecs();
  return specs;
}

const SettingSpec* FindSetting(std::string_view key) {
  const auto specs = SettingSpecs();
  const auto at = std::ranges::find(specs, key, &SettingSpec::key);
  return at == specs.end() ? nullptr : &*at;
}

std::string_view NearestSetting(std::string_view key) {
  if (TooFar(key) == 0) return "";
  std::string_view nearest;
  std::size_t least = TooFar(NameOf(key));
  for (const SettingSpec& spec : SettingSpecs()) {
    // The right name in the wrong section is one mistake.
    const std::size_t distance =
        std::min(EditDistance(key, spec.key), EditDistance(NameOf(key), NameOf(spec.key)) + 1);
    if (distance < least) {
      least = distance;
      nearest = spec.key;
    }
  }
  return nearest;
}

bool IsSettingSection(std::string_view name) {
  return std::ranges::any_of(SettingSpecs(),
                             [&](const SettingSpec& spec) { return SectionOf(spec.key) == name; });
}

std::string_view NearestSettingSection(std::string_view name) {
  if (TooFar(name) == 0) return "";
  std::string_view nearest;
  std::size_t least = TooFar(name);
  for (const SettingSpec& spec : SettingSpecs()) {
    const std::size_t distance = EditDistance(name, SectionOf(spec.key));
    if (distance < least) {
      least = distance;
      nearest = SectionOf(spec.key);
    }
  }
  return nearest;
}

std::string SettingValue(const SettingSpec& spec, const Settings& settings) {
  Settings copy = settings;
  return FormatField(spec, copy);
}

std::string SettingDefault(const SettingSpec& spec) {
  return SettingValue(spec, Settings{});
}

Status SetSetting(Settings& settings, std::string_view key, std::string_view value) {
  const SettingSpec* spec = FindSetting(key);
  if (spec == nullptr) return Fail(ErrorCode::kInvalidArgument, UnknownSetting(key));
  return StoreWords(*spec, value, settings);
}

}  // namespace fallow
