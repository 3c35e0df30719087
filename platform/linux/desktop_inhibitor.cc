// Programs that keep the desktop from going idle, as GNOME's session manager or KDE's power
// management knows them.
#include <fmt/format.h>

#include "platform/linux/bus_signal_source.h"
#include "platform/linux/foreign_text.h"

namespace fallow {
namespace {

// Of more only these are told: each is a few calls in the same 200 ms. Why they do it is not asked:
// players give the title of what is seen or heard, which is nobody's business beyond this login.
constexpr std::size_t kMaxNamedInhibitors = 4;

const BusObject kGnome{"org.gnome.SessionManager", "/org/gnome/SessionManager",
                       "org.gnome.SessionManager"};
constexpr std::uint32_t kGnomeIdle = 8;  // the flag of those who keep the session from going idle

const BusObject kKde{"org.kde.Solid.PowerManagement.PolicyAgent",
                     "/org/kde/Solid/PowerManagement/PolicyAgent",
                     "org.kde.Solid.PowerManagement.PolicyAgent"};
// "Change screen settings": those who keep the screen on. The agent's other policy, 1, "interrupt
// the session", is held too by those who only must not be put to sleep, like a long download.
constexpr std::uint32_t kKdeScreen = 4;

Result<bool> AskFlag(Bus& bus, const BusObject& object, const char* method, std::uint32_t flag) {
  FALLOW_ASSIGN_OR_RETURN(const BusMessage reply, bus.Call(object, method, "u", flag));
  int value = 0;
  if (sd_bus_message_read(reply.get(), "b", &value) > 0) return value != 0;
  return Fail(ErrorCode::kDataLoss, fmt::format("{}: {} gave no answer", object.service, method));
}

std::string Joined(const std::vector<std::string>& who) {
  return who.empty() ? "a program that it does not name" : fmt::format("{}", fmt::join(who, "; "));
}

// "" if it ended meanwhile, or does not keep the session from going idle.
std::string DescribeGnome(Bus& bus, const char* path) {
  const BusObject inhibitor{kGnome.service, path, "org.gnome.SessionManager.Inhibitor"};
  const auto flags = bus.Call(inhibitor, "GetFlags");
  std::uint32_t bits = 0;
  if (!flags || sd_bus_message_read(flags->get(), "u", &bits) <= 0 || (bits & kGnomeIdle) == 0)
    return "";
  const auto reply = bus.Call(inhibitor, "GetAppId");
  const char* program = nullptr;
  const bool told = reply && sd_bus_message_read(reply->get(), "s", &program) > 0;
  return told && *program != '\0' ? ForeignText(program) : "a program";
}

Result<BusSign> AskGnome(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const bool inhibited, AskFlag(bus, kGnome, "IsInhibited", kGnomeIdle));
  if (!inhibited) return BusSign{};
  // Who it is is told as far as time allows.
  std::vector<std::string> who;
  const auto reply = bus.Call(kGnome, "GetInhibitors");
  int status = reply ? sd_bus_message_enter_container(reply->get(), 'a', "o") : -1;
  while (status > 0 && who.size() < kMaxNamedInhibitors) {
    const char* path = nullptr;
    status = sd_bus_message_read(reply->get(), "o", &path);
    if (status <= 0) break;
    if (auto one = DescribeGnome(bus, path); !one.empty()) who.push_back(std::move(one));
  }
  return BusSign{.active = true, .detail = Joined(who)};
}

Result<BusSign> AskKde(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const bool inhibited, AskFlag(bus, kKde, "HasInhibition", kKdeScreen));
  if (!inhibited) return BusSign{};
  std::vector<std::string> who;
  const auto reply = bus.Call(kKde, "ListInhibitions");
  int status = reply ? sd_bus_message_enter_container(reply->get(), 'a', "(ss)") : -1;
  while (status > 0 && who.size() < kMaxNamedInhibitors) {
    const char* program = nullptr;
    status = sd_bus_message_read(reply->get(), "(ss)", &program, nullptr);
    if (status > 0) who.emplace_back(ForeignText(program));
  }
  return BusSign{.active = true, .detail = Joined(who)};
}

// Whichever is there. One that hangs is named rather than passed over.
Result<BusSign> AskDesktop(Bus& bus) {
  auto gnome = AskGnome(bus);
  if (gnome || gnome.error().code == ErrorCode::kDeadlineExceeded) return gnome;
  auto kde = AskKde(bus);
  if (kde || kde.error().code == ErrorCode::kDeadlineExceeded) return kde;
  return Fail(ErrorCode::kUnavailable,
              fmt::format("{}; {}", gnome.error().message, kde.error().message));
}

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewDesktopInhibitorSource(Loop& loop) {
  return BusSignalSource::Open(loop, {.name = "desktop",
                                      .kind = SessionSignalKind::kIdleInhibitor,
                                      .bus = Bus::Which::kSession,
                                      .changes = {{kGnome, "InhibitorAdded"},
                                                  {kGnome, "InhibitorRemoved"},
                                                  {kKde, "InhibitionsChanged"}},
                                      .ask = AskDesktop});
}

}  // namespace fallow
