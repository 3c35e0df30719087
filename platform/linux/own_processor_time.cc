#include "platform/linux/own_processor_time.h"

#include <unistd.h>

#include <cstdlib>

#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// A worker and what it might start; a list that goes on beyond is not ours.
constexpr std::size_t kMaxOwnProcesses = 256;

// The clock of ProcessStat::start_ticks.
std::optional<std::int64_t> UptimeTicks(const std::string& proc) {
  const auto text = ReadKernelText(proc + "/uptime", 64);
  if (!text) return std::nullopt;
  char* end = nullptr;
  const double seconds = std::strtod(text->c_str(), &end);
  if (end == text->c_str() || !(seconds >= 0)) return std::nullopt;
  return static_cast<std::int64_t>(seconds * static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

std::int64_t AllTicks(const ProcessStat& stat) {
  return stat.own_ticks + stat.ended_children_ticks;
}

}  // namespace

void OwnProcessorTime::Collect(std::int64_t process_id,
                               std::map<std::int64_t, ProcessStat>& into) const {
  if (into.contains(process_id) || into.size() == kMaxOwnProcesses) return;
  const auto stat = ReadProcessStat(proc_, process_id);
  if (!stat) return;
  into.emplace(process_id, *stat);
  const std::string tasks = proc_ + "/" + std::to_string(process_id) + "/task";
  for (const std::string& task : NamesIn(tasks)) {
    const auto children = ReadKernelText(tasks + "/" + task + "/children");
    if (!children) return;  // a kernel without the lists
    std::string_view rest = Trimmed(*children);
    while (!rest.empty()) {
      const std::string_view word = rest.substr(0, rest.find(' '));
      if (const auto child = ParseKernelNumber(word)) Collect(*child, into);
      rest = Trimmed(rest.substr(word.size()));
    }
  }
}

std::optional<std::int64_t> OwnProcessorTime::TicksSinceLast(std::span<const std::int64_t> own) {
  std::map<std::int64_t, ProcessStat> now;
  for (const std::int64_t process_id : own) Collect(process_id, now);

  bool comparable = last_uptime_ticks_.has_value();
  std::int64_t ticks = 0;
  for (const auto& [id, stat] : now) {
    const auto before = last_.find(id);
    const bool same = before != last_.end() && before->second.start_ticks == stat.start_ticks;
    const std::int64_t since = same ? AllTicks(stat) - AllTicks(before->second) : AllTicks(stat);
    comparable = comparable && since >= 0 && (same || stat.start_ticks >= *last_uptime_ticks_);
    ticks += since;
  }
  for (const auto& [id, stat] : last_) {
    const auto still = now.find(id);
    if (still != now.end() && still->second.start_ticks == stat.start_ticks) continue;
    // Its parent's count of ended children has grown by all it ever took.
    comparable = comparable && now.contains(stat.parent);
    ticks -= AllTicks(stat);
  }
  last_ = std::move(now);
  last_uptime_ticks_ = UptimeTicks(proc_);
  if (!comparable || ticks < 0) return std::nullopt;
  return ticks;
}

}  // namespace fallow
