#include "agent/daemon/machine_senses.h"

#include <algorithm>
#include <set>
#include <utility>

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

void MachineSenses::Read(const Settings& settings, std::span<const std::int64_t> own,
                         Signals& into) {
  const SteadyTime now = clock_.Steady();
  if (!read_at_ || now - *read_at_ >= kReadPeriod) {
    read_at_ = now;
    ReadSensors(own);
  }
  const std::vector<std::string>& wanted = settings.presence.owner_programs;
  if (!programs_at_ || now - *programs_at_ >= kProgramsPeriod || programs_wanted_ != wanted) {
    programs_at_ = now;
    programs_wanted_ = wanted;
    ReadPrograms(wanted);
  }
  into.machine_read = true;
  into.power = last_.power;
  into.thermal = last_.thermal;
  into.gpus = last_.gpus;
  into.cpu = last_.cpu;
  into.metered = last_.metered;
  into.owner_programs = last_.owner_programs;
}

void MachineSenses::ReadSensors(std::span<const std::int64_t> own) {
  if (parts_.power != nullptr) last_.power = parts_.power->Read();
  if (parts_.power_profile != nullptr) {
    // Either's word is enough: the owner chose to save power.
    const auto saver = parts_.power_profile->PowerSaver();
    if (saver) last_.power.power_saver = *saver || last_.power.power_saver.value_or(false);
  }
  if (parts_.thermal != nullptr) last_.thermal = parts_.thermal->Read();
  if (parts_.gpu != nullptr) last_.gpus = parts_.gpu->Read(own);
  if (parts_.cpu != nullptr) last_.cpu = parts_.cpu->Read(own);
  if (parts_.network != nullptr) last_.metered = parts_.network->Metered();
}

void MachineSenses::ReadPrograms(const std::vector<std::string>& wanted) {
  last_.owner_programs.clear();
  if (wanted.empty() || !parts_.programs) return;
  last_.owner_programs = WantedPrograms(wanted, parts_.programs());
}

}  // namespace fallow
