// Programs that keep the machine from going idle by systemd-logind's inhibitors.
#include <fmt/format.h>

#include "platform/linux/bus_signal_source.h"
#include "platform/linux/foreign_text.h"
#include "platform/linux/logind.h"
#include "platform/system.h"

namespace fallow {
namespace {

constexpr std::size_t kMaxNamedInhibitors = 4;  // of more only these are told

struct Inhibitor {
  const char* what = "";  // "sleep:idle"
  const char* who = "";
  const char* why = "";
  const char* mode = "";  // "block", "delay"; newer: "block-weak"
  std::uint32_t user_id = 0;
  std::uint32_t process_id = 0;
};

bool KeepsFromIdle(const Inhibitor& inhibitor) {
  const std::string what = fmt::format(":{}:", inhibitor.what);
  return what.contains(":idle:") && std::string_view(inhibitor.mode) != "delay" &&
         inhibitor.process_id != ProcessId();
}

Result<BusSign> AskLogind(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const BusMessage reply, bus.Call(LogindManager(), "ListInhibitors"));
  std::vector<std::string> who;
  bool active = false;
  int status = sd_bus_message_enter_container(reply.get(), 'a', "(ssssuu)");
  while (status > 0) {
    Inhibitor found;
    status = sd_bus_message_read(reply.get(), "(ssssuu)", &found.what, &found.who, &found.why,
                                 &found.mode, &found.user_id, &found.process_id);
    if (status <= 0 || !KeepsFromIdle(found)) continue;
    active = true;
    if (who.size() == kMaxNamedInhibitors) break;
    who.push_back(fmt::format("{}: {}", ForeignText(found.who), ForeignText(found.why)));
  }
  if (status < 0) return Fail(ErrorCode::kDataLoss, "logind's list of inhibitors cannot be read");
  return BusSign{.active = active, .detail = fmt::format("{}", fmt::join(who, "; "))};
}

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewLogindInhibitorSource(Loop& loop) {
  // BlockInhibited is a property that changes with every one of them.
  return BusSignalSource::Open(loop, {.name = "logind inhibitors",
                                      .kind = SessionSignalKind::kIdleInhibitor,
                                      .bus = Bus::Which::kSystem,
                                      .changes = {{LogindManager(), ""}},
                                      .ask = AskLogind});
}

}  // namespace fallow
