// Programs that keep the desktop from going idle, as its session manager or its power manager knows
// them. docs/OWNING.md has which desktop is served by which.
#include <fmt/format.h>

#include <array>

#include "platform/linux/bus_signal_source.h"
#include "platform/linux/foreign_text.h"

namespace fallow {
namespace {

// Of more only these are told: each is a few calls in the same 200 ms. Why they do it is not asked:
// players give the title of what is seen or heard, which is nobody's business beyond this login.
constexpr std::size_t kMaxNamedInhibitors = 4;

// The one flag that a service's answer holds.
Result<bool> FlagOf(const Result<BusMessage>& reply, const BusObject& object) {
  if (!reply) return std::unexpected(reply.error());
  int value = 0;
  if (sd_bus_message_read(reply->get(), "b", &value) > 0) return value != 0;
  return Fail(ErrorCode::kDataLoss,
              fmt::format("{} answers something else than was asked", object.service));
}

BusSign HeldBy(const std::vector<std::string>& who) {
  return {.active = true,
          .detail = who.empty() ? "a program that it does not name"
                                : fmt::format("{}", fmt::join(who, "; "))};
}

// ---- GNOME's session manager, and MATE's and Cinnamon's, which go by its name -------------------

const BusObject kGnome{"org.gnome.SessionManager", "/org/gnome/SessionManager",
                       "org.gnome.SessionManager"};
constexpr std::uint32_t kGnomeIdle = 8;  // the flag of those who keep the session from going idle

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
  FALLOW_ASSIGN_OR_RETURN(const bool inhibited,
                          FlagOf(bus.Call(kGnome, "IsInhibited", "u", kGnomeIdle), kGnome));
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
  return HeldBy(who);
}

// ---- KDE's power management ---------------------------------------------------------------------

const BusObject kKde{"org.kde.Solid.PowerManagement.PolicyAgent",
                     "/org/kde/Solid/PowerManagement/PolicyAgent",
                     "org.kde.Solid.PowerManagement.PolicyAgent"};
// "Change screen settings": those who keep the screen on. The agent's other policy, 1, "interrupt
// the session", is held too by those who only must not be put to sleep, like a long download.
constexpr std::uint32_t kKdeScreen = 4;

Result<BusSign> AskKde(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const bool inhibited,
                          FlagOf(bus.Call(kKde, "HasInhibition", "u", kKdeScreen), kKde));
  if (!inhibited) return BusSign{};
  std::vector<std::string> who;
  const auto reply = bus.Call(kKde, "ListInhibitions");
  int status = reply ? sd_bus_message_enter_container(reply->get(), 'a', "(ss)") : -1;
  while (status > 0 && who.size() < kMaxNamedInhibitors) {
    const char* program = nullptr;
    status = sd_bus_message_read(reply->get(), "(ss)", &program, nullptr);
    if (status > 0) who.push_back(ForeignText(program));
  }
  return HeldBy(who);
}

// ---- freedesktop.org's power management, which Xfce's power manager serves ----------------------

// KDE serves it too, but counts there those who must not be put to sleep. It is asked first.
// Xfce's describes a signal for changes, HasInhibitChanged, and 4.18 never sends it.
const BusObject kPowerManagement{"org.freedesktop.PowerManagement",
                                 "/org/freedesktop/PowerManagement/Inhibit",
                                 "org.freedesktop.PowerManagement.Inhibit"};

Result<BusSign> AskPowerManagement(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const bool inhibited,
                          FlagOf(bus.Call(kPowerManagement, "HasInhibit"), kPowerManagement));
  if (!inhibited) return BusSign{.tells_changes = false};
  std::vector<std::string> who;
  const auto reply = bus.Call(kPowerManagement, "GetInhibitors");  // Xfce's alone has it
  int status = reply ? sd_bus_message_enter_container(reply->get(), 'a', "s") : -1;
  while (status > 0 && who.size() < kMaxNamedInhibitors) {
    const char* program = nullptr;
    status = sd_bus_message_read(reply->get(), "s", &program);
    if (status > 0) who.push_back(ForeignText(program));
  }
  BusSign sign = HeldBy(who);
  sign.tells_changes = false;
  return sign;
}

// ---- All of them --------------------------------------------------------------------------------

struct Service {
  const BusObject& object;
  Result<BusSign> (*ask)(Bus&);
};
// The first that answers is the desktop's.
constexpr std::array<Service, 3> kServices = {Service{kGnome, AskGnome}, Service{kKde, AskKde},
                                              Service{kPowerManagement, AskPowerManagement}};

// Screen savers take requests by this name, and have no way to ask whether somebody made one.
const BusObject kScreenSaver{"org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver",
                             "org.freedesktop.ScreenSaver"};

bool IsRunning(Bus& bus, const BusObject& object) {
  const BusObject driver{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"};
  return FlagOf(bus.Call(driver, "NameHasOwner", "s", object.service.c_str()), driver)
      .value_or(false);
}

// One that hangs is named rather than passed over. kNotFound: one has its name, but not yet its
// object, as Xfce's while it starts.
Result<BusSign> AskDesktop(Bus& bus) {
  std::vector<std::string> troubles;
  ErrorCode code = ErrorCode::kUnavailable;
  for (const Service& service : kServices) {
    auto sign = service.ask(bus);
    if (sign || sign.error().code == ErrorCode::kDeadlineExceeded) return sign;
    if (sign.error().code == ErrorCode::kNotFound) code = ErrorCode::kNotFound;
    troubles.push_back(std::move(sign).error().message);
  }
  if (IsRunning(bus, kScreenSaver)) {
    troubles.push_back(
        fmt::format("{} is, but does not tell who keeps the screen on", kScreenSaver.service));
  }
  return Fail(code, fmt::format("{}", fmt::join(troubles, "; ")));
}

}  // namespace

Result<std::unique_ptr<SessionSignalSource>> NewDesktopInhibitorSource(
    Loop& loop, std::chrono::milliseconds good_for) {
  return BusSignalSource::Open(loop, {.name = "desktop",
                                      .kind = SessionSignalKind::kIdleInhibitor,
                                      .bus = Bus::Which::kSession,
                                      .changes = {{kGnome, "InhibitorAdded"},
                                                  {kGnome, "InhibitorRemoved"},
                                                  {kKde, "InhibitionsChanged"},
                                                  {kPowerManagement, "HasInhibitChanged"},
                                                  {kScreenSaver, "ActiveChanged"}},
                                      .ask = AskDesktop,
                                      .good_for = good_for});
}

}  // namespace fallow
