#include "agent/daemon/machine_senses.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "agent/daemon/policy/durations.h"

namespace fallow {
namespace {

std::string Comparable(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower.ends_with(".exe")) lower.resize(lower.size() - 4);
  return lower;
}

}  // namespace

std::vector<std::string> WantedPrograms(std::span<const std::string> wanted,
                                        std::span<const std::string> running) {
  std::set<std::string> names;
  for (const std::string& name : running) names.insert(Comparable(name));
  std::vector<std::string> found;
  for (const std::string& name : wanted) {
    if (names.contains(Comparable(name))) found.push_back(name);
  }
  return found;
}

struct MachineSenses::Reading {
  SteadyTime begun_at{};
  PowerReading power;
  ThermalReading thermal;
  std::vector<GpuReading> gpus;
  CpuReading cpu;
  std::optional<std::vector<std::string>> programs;  // none: not looked for
};

struct MachineSenses::Reader {
  Reading Read(std::span<const std::int64_t> own, std::span<const std::string> wanted_programs,
               bool programs_due) {
    Reading reading;
    const auto begin = [this](const char* what) { at.store(what, std::memory_order_relaxed); };
    begin("the power supplies");
    if (sensors.power != nullptr) reading.power = sensors.power->Read();
    begin("the temperatures");
    if (sensors.thermal != nullptr) reading.thermal = sensors.thermal->Read();
    begin("the graphics cards");
    if (sensors.gpu != nullptr) reading.gpus = sensors.gpu->Read(own);
    begin("the processors' load");
    if (sensors.cpu != nullptr) reading.cpu = sensors.cpu->Read(own);
    begin("the list of programs");
    if (programs_due) {
      reading.programs.emplace();
      if (sensors.programs && !wanted_programs.empty())
        reading.programs = WantedPrograms(wanted_programs, sensors.programs());
    }
    return reading;
  }

  Sensors sensors;
  std::atomic<const char*> at = "";  // what is being read, for whoever waits
};

MachineSenses::MachineSenses(Loop& loop, const Clock& clock, Sensors sensors, Services services,
                             std::function<void()> on_reading)
    : loop_(loop),
      clock_(clock),
      services_(std::move(services)),
      on_reading_(std::move(on_reading)),
      reader_(std::make_shared<Reader>()) {
  reader_->sensors = std::move(sensors);
}

MachineSenses::~MachineSenses() = default;

void MachineSenses::Read(const Settings& settings, std::span<const std::int64_t> own,
                         Signals& into) {
  const SteadyTime now = clock_.Steady();
  const std::vector<std::string>& programs = settings.presence.owner_programs;
  if (IsDue(now, programs)) Begin(now, programs, own);
  if (last_ == nullptr || now - last_->begun_at > kFreshFor) {
    if (begun_at_ && now - *begun_at_ > kFreshFor) {
      into.notices.push_back(fmt::format("{} did not answer within {}: work waits for them",
                                         reader_->at.load(std::memory_order_relaxed),
                                         ShortDuration(kFreshFor)));
    }
    return;
  }
  into.machine_read = true;
  into.power = last_->power;
  into.thermal = last_->thermal;
  into.gpus = last_->gpus;
  into.cpu = last_->cpu;
  into.owner_programs = last_->programs.value_or(std::vector<std::string>());
  FillFromServices(into);
}

bool MachineSenses::IsDue(SteadyTime now, const std::vector<std::string>& programs) const {
  if (reading_) return false;
  return !begun_at_ || now - *begun_at_ >= kReadPeriod || programs != programs_wanted_;
}

void MachineSenses::Begin(SteadyTime now, const std::vector<std::string>& programs,
                          std::span<const std::int64_t> own) {
  const bool programs_due =
      !programs_at_ || now - *programs_at_ >= kProgramsPeriod || programs != programs_wanted_;
  if (programs_due) programs_at_ = now;
  programs_wanted_ = programs;
  begun_at_ = now;
  reading_ = true;
  const auto reading = std::make_shared<Reading>();
  loop_.Blocking(
      [reading, reader = reader_, own = std::vector(own.begin(), own.end()), programs, programs_due,
       now] {
        *reading = reader->Read(own, programs, programs_due);
        reading->begun_at = now;
      },
      [this, reading, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) End(std::move(*reading));
      });
}

void MachineSenses::End(Reading reading) {
  reading_ = false;
  if (!reading.programs && last_ != nullptr) reading.programs = std::move(last_->programs);
  last_ = std::make_unique<Reading>(std::move(reading));
  on_reading_();
}

void MachineSenses::FillFromServices(Signals& into) {
  if (services_.power_profile != nullptr) {
    // Either's word is enough: the owner chose to save power.
    const auto saver = services_.power_profile->PowerSaver();
    if (saver) into.power.power_saver = *saver || into.power.power_saver.value_or(false);
  }
  if (services_.network != nullptr) into.metered = services_.network->Metered();
}

}  // namespace fallow
