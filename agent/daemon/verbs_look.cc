// fallow-agent status, why, log: what it does, did, and why.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "agent/daemon/agent_state.h"
#include "agent/daemon/life_record.h"
#include "agent/daemon/owner_calls.h"
#include "agent/daemon/policy/local_time.h"
#include "agent/daemon/policy/owner_times.h"
#include "agent/daemon/policy/policy_history.h"
#include "agent/daemon/status_report.h"
#include "agent/daemon/verbs.h"
#include "platform/system.h"

namespace fallow {
namespace {

using Json = nlohmann::ordered_json;

// What `log` shows unless it is told otherwise.
constexpr std::size_t kLatestLines = 20;

Json EntryJson(const PolicyEntry& entry) {
  Json json = {{"time_ms", UnixMs(entry.moment.wall)},
               {"action", ActionName(entry.decision.action)},
               {"share", entry.decision.share},
               {"text", entry.decision.text},
               {"keeps_memory", entry.decision.keep_memory},
               {"reasons", Json::array()}};
  for (const ReasonText& reason : entry.decision.reasons) {
    json["reasons"].push_back({{"reason", ReasonName(reason.reason)},
                               {"text", reason.text},
                               {"way_out", reason.way_out}});
  }
  return json;
}

Json AbsenceJson(const Absence& absence) {
  Json json = {{"time_ms", UnixMs(absence.since)},
               {"action", "off"},
               {"cause", AbsenceCauseName(absence.cause)},
               {"text", AbsenceSummary(absence)}};
  json["until_ms"] = absence.until ? Json(UnixMs(absence.until->wall)) : Json(nullptr);
  json["clock_set_back"] = absence.clock_set_back();
  return json;
}

Json LineJson(const LogLine& line) {
  if (line.entry != nullptr) return EntryJson(*line.entry);
  if (line.absence != nullptr) return AbsenceJson(*line.absence);
  return {{"time_ms", UnixMs(line.time())},
          {"action", "clock"},
          {"clock_was_ms", UnixMs(line.clock->was)},
          {"text", ClockStepSummary(*line.clock)}};
}

Json ReplayJson(const ReplayReport& report) {
  return {{"replayed", report.replayed},
          {"different", report.different},
          {"other_version", report.other_version},
          {"unreadable_lines", report.unreadable_lines},
          {"differences", report.differences}};
}

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

struct ToldHistory {
  PolicyHistory history;
  bool of_machine = false;  // told by the agent of the whole machine
};

// By the running agent, or by the files of one that does not run. Never empty.
Result<ToldHistory> ReadHistory(const VerbOptions& options) {
  int code = kExitOk;
  const auto answer = AskDaemon(options, SimpleCall("log"), &code);
  if (!answer && code == kExitFailed) return std::unexpected(answer.error());
  ToldHistory told;
  if (answer) {
    told = {PolicyHistory::Parse(answer->text), answer->of_machine};
  } else {
    const auto files = NewPolicyLogFiles(options.state_folder);
    FALLOW_ASSIGN_OR_RETURN(told.history, PolicyHistory::Read(*files));
    told.history.NobodyRuns(LastLifeSign(StateFolder(options.state_folder).life_sign_paths()));
  }
  if (!told.history.entries().empty()) return told;
  return Fail(ErrorCode::kNotFound,
              fmt::format("nothing was decided yet, as far as {} tells: has the agent run?",
                          told.of_machine ? "this machine's agent"
                                          : StateFolder(options.state_folder).policy_log_path()));
}

Json WhyJson(const PolicyEntry& entry, std::optional<Moment> since, bool of_machine) {
  Json json = EntryJson(entry);
  json["whole_system"] = of_machine;
  json["since_ms"] = since ? Json(UnixMs(since->wall)) : Json(nullptr);
  return json;
}

Result<WallTime> PastTime(const std::string& text) {
  return ParsePastTime(text, NewSystemClock()->Wall(), LocalOffsetAt);
}

int WhyThen(const VerbOptions& options) {
  const auto time = PastTime(*options.at);
  if (!time) return FailWith(time.error(), kExitUsage);
  const auto told = ReadHistory(options);
  if (!told) return FailWith(told.error(), kExitFailed);
  const PolicyEntry* entry = told->history.At(*time);
  if (const Absence* absence = told->history.AbsenceAt(*time)) {
    Json json = AbsenceJson(*absence);
    json["at_ms"] = UnixMs(*time);
    PrintOut("{}", options.json ? Dump(json) : AbsenceText(*absence, entry));
    return kExitOk;
  }
  if (entry == nullptr) {
    const Moment& first = told->history.entries().front().moment;
    return FailWith(
        {ErrorCode::kNotFound, fmt::format("the log begins at {}, after {}",
                                           LocalDateTime(first.wall, LocalOffset(first)),
                                           LocalDateTime(*time, LocalOffsetAt(*time)))},
        kExitFailed);
  }
  const Moment since = told->history.StateSince(*entry);
  Json json = WhyJson(*entry, since, told->of_machine);
  json["at_ms"] = UnixMs(*time);
  PrintOut("{}",
           options.json ? Dump(json) : WhyThenText(*entry, since, *time, LocalOffsetAt(*time)));
  return kExitOk;
}

}  // namespace

int StatusVerb(const VerbOptions& options) {
  int code = kExitOk;
  const auto answer = AskDaemon(options, SimpleCall("status"), &code);
  if (!answer) return FailWith(answer.error(), code);
  if (options.json) {
    PrintOut("{}", answer->text);
    return kExitOk;
  }
  const auto text = StatusText(answer->text);
  if (!text) return FailWith(text.error(), kExitFailed);
  PrintOut("{}", *text);
  return kExitOk;
}

int WhyVerb(const VerbOptions& options) {
  if (options.at) return WhyThen(options);
  int code = kExitOk;
  const auto answer = AskDaemon(options, SimpleCall("why"), &code);
  if (!answer) return FailWith(answer.error(), code);
  const PolicyHistory now = PolicyHistory::Parse(answer->text);
  if (now.entries().empty()) {
    return FailWith({ErrorCode::kDataLoss, "the running agent's answer cannot be read: restart it"},
                    kExitFailed);
  }
  const auto told = ReadHistory(options);
  const auto since = told ? told->history.CurrentSince() : std::nullopt;
  const PolicyEntry& entry = now.entries().back();
  std::string held_up;
  if (entry.decision.action != Action::kPause) {
    const auto status = AskDaemon(options, SimpleCall("status"), &code);
    if (status) held_up = HeldUpBy(status->text);
  }
  const auto clock = NewSystemClock();
  Json json = WhyJson(entry, since, answer->of_machine);
  json["held_up_by"] = held_up;
  PrintOut("{}", options.json ? Dump(json) : WhyText(entry, since, MomentNow(*clock), held_up));
  return kExitOk;
}

int LogVerb(const VerbOptions& options) {
  std::optional<WallTime> since;
  if (options.since) {
    const auto parsed = PastTime(*options.since);
    if (!parsed) return FailWith(parsed.error(), kExitUsage);
    since = *parsed;
  }
  const auto told = ReadHistory(options);
  if (!told) return FailWith(told.error(), kExitFailed);
  const PolicyHistory& history = told->history;
  if (options.verify) {
    const ReplayReport report = ReplayLog(history);
    PrintOut("{}", options.json ? Dump(ReplayJson(report)) : ReplayText(report));
    return report.ok() ? kExitOk : kExitFailed;
  }
  const std::vector<LogLine> lines = since ? history.Since(*since) : history.Lines();
  const std::size_t all = since ? lines.size() : kLatestLines;
  const std::size_t count = std::min(lines.size(), options.max_entries.value_or(all));
  const auto shown = std::span<const LogLine>(lines).last(count);
  if (!options.json) {
    PrintOut("{}", LogText(shown));
    return kExitOk;
  }
  Json json = Json::array();
  for (const LogLine& line : shown) json.push_back(LineJson(line));
  PrintOut("{}", Dump(json));
  return kExitOk;
}

}  // namespace fallow
