// Presence by systemd-logind's sessions, over the system bus.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "platform/linux/bus.h"
#include "platform/linux/foreign_text.h"
#include "platform/linux/logind.h"
#include "platform/linux/session_rules.h"
#include "platform/presence.h"

namespace fallow {
namespace {

using std::chrono::microseconds;

// A machine with more sessions is not one person's PC; the rest is not asked, and the source cannot
// tell.
constexpr std::size_t kMaxSessions = 64;

microseconds MonotonicNow() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::floor<microseconds>(std::chrono::nanoseconds(time.tv_nsec));
}

std::unexpected<Error> Unreadable(std::string_view what, int status) {
  return Fail(ErrorCode::kDataLoss,
              fmt::format("logind sent {} that cannot be read: {}", what, std::strerror(-status)));
}

// Whether input at console `number` may go elsewhere than its terminal.
bool ConsoleHidesInput(std::uint32_t number) {
  const std::string path = fmt::format("/dev/tty{}", number);
  const int console = ::open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (console < 0) return true;
  int mode = KD_GRAPHICS;
  const bool text = ::ioctl(console, KDGETMODE, &mode) == 0 && mode == KD_TEXT;
  ::close(console);
  return !text;
}

// What takes more than one property to understand.
struct Properties {
  std::uint64_t idle_since = 0;
  std::uint64_t idle_since_monotonic = 0;
  std::uint32_t console = 0;
};

int ReadProperty(sd_bus_message* message, std::string_view name, LoginSession& session,
                 Properties& properties) {
  const auto text = [&](std::string& into) {
    const char* value = nullptr;
    const int status = sd_bus_message_read(message, "v", "s", &value);
    if (status >= 0) into = ForeignText(value);
    return status;
  };
  const auto flag = [&](bool& into) {
    int value = 0;
    const int status = sd_bus_message_read(message, "v", "b", &value);
    if (status >= 0) into = value != 0;
    return status;
  };
  if (name == "Class") return text(session.session_class);
  if (name == "Type") return text(session.type);
  if (name == "RemoteHost") return text(session.remote_host);
  if (name == "Active") return flag(session.active);
  if (name == "Remote") return flag(session.remote);
  if (name == "IdleHint") return flag(session.idle_hint);
  if (name == "LockedHint") return flag(session.locked);
  if (name == "VTNr") return sd_bus_message_read(message, "v", "u", &properties.console);
  if (name == "IdleSinceHint")
    return sd_bus_message_read(message, "v", "t", &properties.idle_since);
  if (name == "IdleSinceHintMonotonic")
    return sd_bus_message_read(message, "v", "t", &properties.idle_since_monotonic);
  if (name == "State") {
    std::string state;
    const int status = text(state);
    session.closing = state == "closing";
    return status;
  }
  return sd_bus_message_skip(message, "v");
}

int ReadProperties(sd_bus_message* message, LoginSession& session, Properties& properties) {
  int status = sd_bus_message_enter_container(message, 'a', "{sv}");
  while (status >= 0) {
    status = sd_bus_message_enter_container(message, 'e', "sv");
    if (status <= 0) return status;
    const char* name = nullptr;
    status = sd_bus_message_read(message, "s", &name);
    if (status >= 0) status = ReadProperty(message, name, session, properties);
    if (status >= 0) status = sd_bus_message_exit_container(message);
  }
  return status;
}

struct ListedSession {
  LoginSession session;  // its id, user and seat
  std::string path;
};

Result<std::vector<ListedSession>> ListSessions(Bus& bus) {
  FALLOW_ASSIGN_OR_RETURN(const BusMessage reply, bus.Call(LogindManager(), "ListSessions"));
  std::vector<ListedSession> listed;
  int status = sd_bus_message_enter_container(reply.get(), 'a', "(susso)");
  while (status >= 0) {
    const char *id = nullptr, *user = nullptr, *seat = nullptr, *path = nullptr;
    std::uint32_t user_id = 0;
    status = sd_bus_message_read(reply.get(), "(susso)", &id, &user_id, &user, &seat, &path);
    if (status <= 0) break;
    if (listed.size() == kMaxSessions) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("there are more than {} sessions", kMaxSessions));
    }
    listed.push_back(
        {LoginSession{
             .id = id, .user = ForeignText(user), .user_id = user_id, .seat = ForeignText(seat)},
         path});
  }
  if (status < 0) return Unreadable("a list", status);
  return listed;
}

// False: it ended meanwhile.
Result<bool> Describe(Bus& bus, const std::string& path, LoginSession& session) {
  const BusObject object{LogindManager().service, path, "org.freedesktop.DBus.Properties"};
  auto reply = bus.Call(object, "GetAll", "s", "org.freedesktop.login1.Session");
  if (!reply && reply.error().code == ErrorCode::kNotFound) return false;
  if (!reply) return std::unexpected(reply.error());
  Properties properties;
  if (const int status = ReadProperties(reply->get(), session, properties); status < 0)
    return Unreadable("a session", status);
  if (properties.idle_since != 0)
    session.idle_since = microseconds(properties.idle_since_monotonic);
  session.console_hides_input = properties.console != 0 && ConsoleHidesInput(properties.console);
  return true;
}

LoginKind KindOf(const LoginSession& session) {
  if (session.remote) return LoginKind::kRemote;
  return IsLoginScreen(session) ? LoginKind::kLoginScreen : LoginKind::kHere;
}

class LogindPresenceSource : public PresenceSource {
 public:
  LogindPresenceSource(Loop& loop, SeenElsewhere seen_elsewhere)
      : loop_(loop), seen_elsewhere_(std::move(seen_elsewhere)) {}

  std::string name() const override { return "logind"; }

  PresenceReading Read() override {
    const auto sessions = ReadSessions();
    if (sessions) return JudgeSessions(*sessions, MonotonicNow());
    return {.source = name(),
            .known = false,
            .idle_for = {},
            .detail = sessions.error().message,
            .kind = PresenceKind::kDistrusted};
  }

  // All of it within kBusPatience.
  Result<std::vector<LoginSession>> ReadSessions() {
    const Bus::Deadline deadline = std::chrono::steady_clock::now() + kBusPatience;
    if (bus_ == nullptr || bus_->broken()) {
      bus_ = nullptr;
      FALLOW_ASSIGN_OR_RETURN(bus_, Bus::Open(loop_, Bus::Which::kSystem, deadline));
    }
    const Bus::Together together(*bus_, deadline);
    FALLOW_ASSIGN_OR_RETURN(auto listed, ListSessions(*bus_));
    std::vector<LoginSession> sessions;
    for (auto& [session, path] : listed) {
      FALLOW_ASSIGN_OR_RETURN(const bool exists, Describe(*bus_, path, session));
      if (!exists) continue;
      session.seen_elsewhere = seen_elsewhere_ != nullptr &&
                               seen_elsewhere_(session.id, session.user_id, KindOf(session));
      sessions.push_back(std::move(session));
    }
    return sessions;
  }

 private:
  Loop& loop_;
  const SeenElsewhere seen_elsewhere_;
  std::unique_ptr<Bus> bus_;
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewLogindPresenceSource(Loop& loop,
                                                                SeenElsewhere seen_elsewhere) {
  auto source = std::make_unique<LogindPresenceSource>(loop, std::move(seen_elsewhere));
  if (auto sessions = source->ReadSessions(); !sessions)
    return Fail(ErrorCode::kUnavailable, std::move(sessions).error().message);
  return source;
}

}  // namespace fallow
