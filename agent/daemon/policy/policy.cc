#include "agent/daemon/policy/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/daemon/policy/durations.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/policy_rules.h"
#include "agent/daemon/policy/schedule.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// A cause that stops work again so soon after it was gone settles twice as long, up to eight times.
constexpr std::chrono::minutes kRepeatWindow{10};
constexpr int kMaxRepeats = 3;
// After work stops, sensors that look back still see some of it.
constexpr milliseconds kOwnWorkGone{30'000};
// Below this share a machine that ran is said to be held back; from that on, to run again.
constexpr double kReducedBelow = 0.95;
constexpr double kFullFrom = 0.995;
// Below this part of a ceiling it does not hold the share, which is still on its way up.
constexpr double kRoomBelow = 0.95;
// An owner's pause is counted on the steady clock up to this length.
constexpr milliseconds kMaxPauseCounted = std::chrono::hours(24 * 365 * 10);

constexpr std::array kUseReasons = {
    Reason::kDistrustedSource, Reason::kUnknownPresence, Reason::kInput,
    Reason::kGamepad,          Reason::kRemoteSession,   Reason::kGameMode,
    Reason::kFullScreen,       Reason::kIdleInhibitor,   Reason::kOwnerProgram};
constexpr std::array kMemoryReasons = {Reason::kSuspending, Reason::kGameMode,
                                       Reason::kFullScreen, Reason::kOwnerProgram,
                                       Reason::kGpuMemory,  Reason::kMemory};

bool Contains(std::span<const Reason> reasons, Reason reason) {
  return std::ranges::find(reasons, reason) != reasons.end();
}

milliseconds Since(SteadyTime then, SteadyTime now) {
  return std::chrono::duration_cast<milliseconds>(now - then);
}

milliseconds SettlesFor(const Sign& sign, const PolicyMemory::Hold& hold) {
  return sign.settles * (1 << hold.repeats);
}

// Brings the hold of one reason up to date; how long it still settles, or none if it does not hold.
std::optional<milliseconds> UpdateHold(const Sign& sign, SteadyTime now, PolicyMemory& memory) {
  auto& holds = memory.holds;
  const auto known = holds.find(sign.reason);
  const bool held = known != holds.end() && known->second.holds;
  if (sign.seen == Seen::kThere) {
    PolicyMemory::Hold& hold = holds[sign.reason];
    if (!held && memory.began >= hold.released && hold.released != SteadyTime{})
      hold.repeats = std::min(hold.repeats + 1, kMaxRepeats);
    hold.holds = true;
    hold.clear_since.reset();
    return SettlesFor(sign, hold);
  }
  if (!held) {
    if (known != holds.end() && now - known->second.released > kRepeatWindow) holds.erase(known);
    return std::nullopt;
  }
  PolicyMemory::Hold& hold = known->second;
  if (sign.seen == Seen::kBetween) {
    hold.clear_since.reset();
    return SettlesFor(sign, hold);
  }
  if (!hold.clear_since) hold.clear_since = now;
  const milliseconds left = SettlesFor(sign, hold) - Since(*hold.clear_since, now);
  if (left > milliseconds(0)) return left;
  hold.holds = false;
  hold.clear_since.reset();
  hold.released = now;
  return std::nullopt;
}

// The reasons among `signs` that hold now.
void AddReasons(const std::vector<Sign>& signs, SteadyTime now, PolicyMemory& memory,
                std::vector<ReasonText>& reasons) {
  for (const Sign& sign : signs) {
    if (sign.settles == milliseconds(0)) {
      if (sign.seen == Seen::kThere) reasons.push_back({sign.reason, sign.text, sign.way_out});
      continue;
    }
    if (!sign.counts) {
      memory.holds.erase(sign.reason);
      continue;
    }
    const auto left = UpdateHold(sign, now, memory);
    if (!left) continue;
    ReasonText reason{sign.reason, sign.text, sign.way_out};
    if (sign.seen != Seen::kThere)
      reason.text += fmt::format("; work waits {} more, in case it comes back", TimeLeft(*left));
    if (sign.seen == Seen::kNot)
      reason.way_out = fmt::format("it stays so for {}", TimeLeft(*left));
    reasons.push_back(std::move(reason));
  }
}

// How long the owner's pause still lasts; none if there is none or it is over.
std::optional<milliseconds> OwnersPauseLeft(const Signals& signals, const Moment& now,
                                            PolicyMemory& memory) {
  if (!signals.paused_until) {
    memory.pause_end.reset();
    return std::nullopt;
  }
  if (*signals.paused_until == kPausedWithoutEnd) return kMaxPauseCounted;
  if (memory.pause_end != signals.paused_until) {
    memory.pause_end = signals.paused_until;
    const std::int64_t end_ms = UnixMs(*signals.paused_until), now_ms = UnixMs(now.wall);
    // Without a sign the difference cannot overflow, however far apart they are.
    const auto left_ms =
        end_ms <= now_ms
            ? 0
            : std::min(static_cast<std::uint64_t>(end_ms) - static_cast<std::uint64_t>(now_ms),
                       static_cast<std::uint64_t>(kMaxPauseCounted.count()));
    memory.pause_deadline = now.steady + milliseconds(left_ms);
  }
  if (now.wall >= *signals.paused_until || now.steady >= memory.pause_deadline) return std::nullopt;
  return Since(now.steady, memory.pause_deadline);
}

Sign PausedSign(const Signals& signals, const Moment& now, std::optional<milliseconds> left) {
  Sign sign{.reason = Reason::kPausedByOwner};
  if (!left) return sign;
  sign.seen = Seen::kThere;
  const auto& by_root = signals.paused_by_root_until;
  const bool all_by_root = by_root && *by_root >= *signals.paused_until;
  const std::string_view who = all_by_root ? "root" : "the owner";
  sign.way_out = all_by_root ? "`sudo fallow-agent resume`" : "`fallow-agent resume`";
  sign.text = *signals.paused_until == kPausedWithoutEnd
                  ? fmt::format("paused by {}, until told otherwise", who)
                  : fmt::format("paused by {} for {} more, until {}", who, TimeLeft(*left),
                                LocalClock(now.wall + *left, LocalOffset(now)));
  if (by_root && !all_by_root && *by_root > now.wall) {
    sign.text += fmt::format("; by root until {}", LocalDateTime(*by_root, LocalOffset(now)));
    sign.way_out = "`sudo fallow-agent resume`; without sudo it ends when root's does";
  }
  return sign;
}

Sign ScheduleSign(const Settings& settings, const Moment& now) {
  Sign sign{.reason = Reason::kSchedule};
  const auto wait = MinutesUntilAllowed(settings.schedule, now.weekday, now.minute_of_day);
  if (wait == 0) return sign;
  sign.seen = Seen::kThere;
  std::string allowed;
  for (const auto& span : settings.schedule.allowed)
    allowed += (allowed.empty() ? "" : "; ") + FormatScheduleSpan(span);
  if (allowed.size() > 200) allowed = allowed.substr(0, 200) + " …";
  sign.text = fmt::format("work is allowed only {}", allowed);
  sign.way_out = wait ? fmt::format("{} from now, or another schedule.allowed",
                                    TimeLeft(std::chrono::minutes(*wait)))
                      : "another schedule.allowed";
  return sign;
}

std::vector<Sign> CommandSigns(const Settings& settings, const Signals& signals, const Moment& now,
                               std::optional<milliseconds> pause_left) {
  Sign suspending{.reason = Reason::kSuspending};
  if (signals.suspending) suspending.seen = Seen::kThere;
  suspending.text = "the machine is about to sleep";
  suspending.way_out = "it wakes";
  Sign trouble{.reason = Reason::kSettings};
  if (!signals.settings_trouble.empty()) trouble.seen = Seen::kThere;
  trouble.text = fmt::format("the settings cannot be followed, so the machine counts as in use: {}",
                             signals.settings_trouble);
  trouble.way_out = "the settings file is mended; it is read again at once";
  return {suspending, PausedSign(signals, now, pause_left), trouble, ScheduleSign(settings, now)};
}

// The GPUs that may go on while somebody uses the machine.
std::vector<GpuReading> GpusThatGoOn(const Settings& settings, const Signals& signals) {
  if (!settings.compute.yield_display_gpu_alone || settings.compute.backend == "cpu") return {};
  return GpusWithoutDisplay(signals);
}

// What holds the share below full: the loop, or the level itself.
ReasonText ReducedBy(const Settings& settings, const QuietTargets& targets, const QuietStep& step) {
  const bool nothing_measured = std::ranges::none_of(step.state.loops, &QuietState::Loop::seen);
  if (step.limited_by && step.share < targets.max_share) {
    const bool heat =
        *step.limited_by == QuietLimit::kCpuHeat || *step.limited_by == QuietLimit::kGpuHeat;
    const QuietState::Loop& loop = step.state.loops[static_cast<std::size_t>(*step.limited_by)];
    const bool has_room = loop.smooth < loop.ceiling * kRoomBelow;
    return {heat ? Reason::kTemperature : Reason::kPowerLimit, HeldText(step, *step.limited_by),
            has_room ? "nothing; the share rises by itself while there is room"
                     : "a higher quiet.level or ceiling"};
  }
  return {Reason::kQuietLevel,
          fmt::format("quiet.level {} allows {:.0f} % of the time{}", settings.quiet.level_percent,
                      targets.max_share * 100,
                      nothing_measured ? " (no sensor tells how warm the machine is)" : ""),
          "a higher quiet.level"};
}

milliseconds MinPause(const Settings& settings) {
  return std::min(kMinPause, settings.presence.idle_after);
}

// What is found before it is decided.
struct Findings {
  std::vector<ReasonText> reasons;  // those that pause, and signs of use
  std::vector<GpuReading> gpus;     // that may go on; empty: no such exception is needed or there
  bool in_use = false;
  bool machine_unseen = false;
  QuietTargets targets;
  QuietStep quiet;
  std::optional<milliseconds> pause_left;
};

// While nobody looks at the machine, what it was busy with settles unseen.
void Forget(const Settings& settings, SteadyTime now, PolicyMemory& memory) {
  std::vector<ReasonText> unseen;
  AddReasons(LoadSigns(settings, {}, {}, true), now, memory, unseen);
  AddReasons(PowerSigns(settings, {}), now, memory, unseen);
}

Findings Look(const Settings& settings, const Signals& signals, const Moment& now,
              PolicyMemory& memory) {
  Findings found;
  std::vector<ReasonText>& reasons = found.reasons;
  AddReasons(UseSigns(settings, signals, memory.was_free), now.steady, memory, reasons);
  found.in_use = !reasons.empty();
  if (found.in_use) found.gpus = GpusThatGoOn(settings, signals);
  found.pause_left = OwnersPauseLeft(signals, now, memory);
  AddReasons(CommandSigns(settings, signals, now, found.pause_left), now.steady, memory, reasons);
  if (!signals.machine_read) {
    Forget(settings, now.steady, memory);
    found.machine_unseen = true;
    std::ranges::stable_sort(reasons, {}, &ReasonText::reason);
    return found;
  }
  const bool own_work =
      memory.action != Action::kPause ||
      (memory.paused_since && Since(*memory.paused_since, now.steady) < kOwnWorkGone);
  AddReasons(LoadSigns(settings, signals, found.gpus.empty() ? signals.gpus : found.gpus, own_work),
             now.steady, memory, reasons);
  AddReasons(PowerSigns(settings, signals), now.steady, memory, reasons);
  found.targets = TargetsOf(settings.quiet);
  found.quiet = StepQuiet(memory.quiet, found.targets, ReadQuiet(found.targets, signals),
                          memory.action != Action::kPause, now.steady);
  memory.quiet = found.quiet.state;
  AddReasons(QuietSigns(settings, signals, found.targets, found.quiet, now.steady), now.steady,
             memory, reasons);
  std::ranges::stable_sort(reasons, {}, &ReasonText::reason);
  return found;
}

bool MustPause(const Findings& found) {
  return std::ranges::any_of(found.reasons, [&](const ReasonText& reason) {
    return found.gpus.empty() || !Contains(kUseReasons, reason.reason);
  });
}

bool GivesMemoryBack(const Settings& settings, const Findings& found, const Moment& now,
                     const PolicyMemory& memory) {
  if (!memory.kept_memory) return true;
  const milliseconds keep_for = settings.compute.keep_model_for;
  if (found.pause_left && *found.pause_left > keep_for) return true;
  if (Since(*memory.paused_since, now.steady) >= keep_for) return true;
  return std::ranges::any_of(found.reasons, [](const ReasonText& reason) {
    return Contains(kMemoryReasons, reason.reason);
  });
}

// Why work that nothing forbids does not begin yet; none if it may.
std::optional<ReasonText> StillSettling(const Settings& settings, const Findings& found,
                                        const Moment& now, const PolicyMemory& memory) {
  if (found.machine_unseen) {
    return ReasonText{Reason::kSettling,
                      "nobody is there, but the machine's sensors have not answered yet",
                      "nothing; work begins once they are read"};
  }
  if (memory.action != Action::kPause || !memory.paused_since || memory.paused_by_owner_alone)
    return std::nullopt;
  const milliseconds left = MinPause(settings) - Since(*memory.paused_since, now.steady);
  if (left <= milliseconds(0)) return std::nullopt;
  return ReasonText{Reason::kSettling,
                    fmt::format("free again; work waits {} more, so that it does not start and "
                                "stop all the time",
                                TimeLeft(left)),
                    "nothing; it begins by itself"};
}

Decision Pause(const Settings& settings, Findings found, const Moment& now, PolicyMemory& memory) {
  const bool by_owner =
      found.reasons.size() == 1 && found.reasons[0].reason == Reason::kPausedByOwner;
  const bool begins = memory.action != Action::kPause || !memory.paused_since;
  memory.paused_by_owner_alone = by_owner && (begins || memory.paused_by_owner_alone);
  if (begins) memory.paused_since = now.steady;
  memory.action = Action::kPause;
  memory.kept_memory = !GivesMemoryBack(settings, found, now, memory);
  Decision decision{.action = Action::kPause, .keep_memory = memory.kept_memory};
  decision.text = found.reasons[0].text;
  decision.reasons = std::move(found.reasons);
  return decision;
}

Decision Work(const Settings& settings, const Signals& signals, Findings found, const Moment& now,
              PolicyMemory& memory) {
  Decision decision{.action = Action::kRun, .share = 1};
  const double full_from = memory.action == Action::kRun && found.targets.max_share >= kFullFrom
                               ? kReducedBelow
                               : kFullFrom;
  std::string how;
  if (found.quiet.share < full_from) {
    decision.share = found.quiet.share;
    found.reasons.push_back(ReducedBy(settings, found.targets, found.quiet));
    how = fmt::format("works {:.0f} % of the time: {}", decision.share * 100,
                      found.reasons.back().text);
  }
  if (found.gpus.empty()) {
    decision.text = WhyFree(settings, signals) + (how.empty() ? "" : "; " + how);
  } else {
    std::string names;
    for (const GpuReading& gpu : found.gpus) {
      decision.only_gpus.push_back(gpu.pci_address);
      names += (names.empty() ? "" : ", ") + (gpu.name.empty() ? gpu.pci_address : gpu.name);
    }
    decision.text = fmt::format("works on {} alone, which drives no display: {}{}", names,
                                found.reasons[0].text, how.empty() ? "" : "; " + how);
  }
  decision.reasons = std::move(found.reasons);
  if (!decision.reasons.empty()) decision.action = Action::kReduce;
  if (memory.action == Action::kPause) memory.began = now.steady;
  memory.action = decision.action;
  memory.paused_since.reset();
  memory.paused_by_owner_alone = false;
  memory.kept_memory = true;
  return decision;
}

}  // namespace

Decision Decide(const Settings& settings, const Signals& all_signals, const Moment& now,
                PolicyMemory& memory) {
  const Signals signals = Bounded(all_signals);
  Findings found = Look(settings, signals, now, memory);
  memory.was_free = !found.in_use;
  if (MustPause(found)) return Pause(settings, std::move(found), now, memory);
  if (auto settling = StillSettling(settings, found, now, memory)) {
    // It is what keeps work from beginning, whatever else would allow only a part of it.
    found.reasons.insert(found.reasons.begin(), *std::move(settling));
    return Pause(settings, std::move(found), now, memory);
  }
  return Work(settings, signals, std::move(found), now, memory);
}

}  // namespace fallow
