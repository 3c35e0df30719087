// Any bytes as an explain log: it is read, shown and decided again, and what was read of it can be
// written and read again.
#include <cstdint>
#include <string_view>

#include "agent/daemon/policy/policy_history.h"
#include "base/check.h"
#include "base/utf8.h"

namespace fallow {
namespace {

void CheckEntry(const PolicyEntry& entry) {
  const auto again = ParseEntry(EntryLine(entry), entry.settings);
  FALLOW_CHECK(again.has_value() && *again == entry);
  FALLOW_CHECK(IsValidUtf8(WhyText(entry, entry.moment, entry.moment)));
}

void CheckLine(const PolicyHistory& history, const LogLine& line) {
  const WallTime time = line.time();
  (void)history.At(time);
  (void)history.AbsenceAt(time);
  FALLOW_CHECK(!history.Since(time).empty());
  if (line.entry != nullptr) CheckEntry(*line.entry);
  if (line.absence != nullptr) (void)AbsenceText(*line.absence, history.At(time));
}

void CheckHistory(const PolicyHistory& history) {
  const auto lines = history.Lines();
  FALLOW_CHECK(lines.size() >= history.entries().size() + history.absences().size());
  FALLOW_CHECK(IsValidUtf8(LogText(lines)));
  // Each costs as much as all are long.
  constexpr std::size_t kMostLines = 8;
  for (std::size_t i = 0; i < lines.size() && i < kMostLines; ++i) CheckLine(history, lines[i]);
  (void)history.CurrentSince();
  (void)ReplayText(ReplayLog(history));
}

}  // namespace
}  // namespace fallow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  PolicyHistory history = PolicyHistory::Parse(text);
  CheckHistory(history);
  history.NobodyRuns(history.entries().empty()
                         ? std::nullopt
                         : std::optional(history.entries().back().moment.wall));
  FALLOW_CHECK(IsValidUtf8(LogText(history.Lines())));
  if (const auto mark = ParseRunMark(text)) FALLOW_CHECK(ParseRunMark(RunMarkLine(*mark)) == *mark);
  return 0;
}
