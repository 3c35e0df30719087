// Presence by systemd-logind's sessions, over the system bus.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kd.h>
#include <sys/ioctl.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "platform/linux/session_rules.h"
#include "platform/presence.h"

namespace fallow {
namespace {

using std::chrono::microseconds;

constexpr microseconds kReadTimeout{200'000};
// A machine with more sessions is not one person's PC; the rest is not asked, and the source cannot
// tell.
constexpr std::size_t kMaxSessions = 64;

using Bus = std::unique_ptr<sd_bus, decltype([](sd_bus* bus) { sd_bus_close_unref(bus); })>;
using Message =
    std::unique_ptr<sd_bus_message, decltype([](sd_bus_message* m) { sd_bus_message_unref(m); })>;

microseconds MonotonicNow() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::floor<microseconds>(std::chrono::nanoseconds(time.tv_nsec));
}

std::unexpected<Error> BusFailure(std::string_view what, int status) {
  return Fail(ErrorCode::kUnavailable, fmt::format("{}: {}", what, std::strerror(-status)));
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

// The bus with a deadline: nothing here waits longer.
class LogindCalls {
 public:
  LogindCalls(sd_bus* bus, microseconds deadline) : bus_(bus), deadline_(deadline) {}

  Status WaitUntilReady() {
    while (true) {
      const int ready = sd_bus_is_ready(bus_);
      if (ready > 0) return {};
      if (ready < 0) return BusFailure("the system bus refused the connection", ready);
      const microseconds left = deadline_ - MonotonicNow();
      if (left.count() <= 0) {
        return Fail(ErrorCode::kUnavailable, "the system bus does not answer");
      }
      const int done = sd_bus_process(bus_, nullptr);
      if (done < 0) return BusFailure("the system bus refused the connection", done);
      if (done == 0) sd_bus_wait(bus_, static_cast<std::uint64_t>(left.count()));
    }
  }

  Result<std::vector<LoginSession>> Sessions() {
    FALLOW_ASSIGN_OR_RETURN(
        const Message reply,
        Call("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "ListSessions", nullptr));
    std::vector<std::pair<LoginSession, std::string>> listed;
    int status = sd_bus_message_enter_container(reply.get(), 'a', "(susso)");
    while (status >= 0) {
      const char* id = nullptr;
      std::uint32_t user_id = 0;
      const char* user = nullptr;
      const char* seat = nullptr;
      const char* path = nullptr;
      status = sd_bus_message_read(reply.get(), "(susso)", &id, &user_id, &user, &seat, &path);
      if (status <= 0) break;
      if (listed.size() == kMaxSessions) {
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("there are more than {} sessions", kMaxSessions));
      }
      listed.emplace_back(LoginSession{.id = id, .user = user}, path);
    }
    if (status < 0) return BusFailure("logind sent a list that cannot be read", status);

    std::vector<LoginSession> sessions;
    for (auto& [session, path] : listed) {
      FALLOW_ASSIGN_OR_RETURN(const bool exists, Describe(path, session));
      if (exists) sessions.push_back(std::move(session));
    }
    return sessions;
  }

 private:
  // `argument`, if any, is the call's one string.
  Result<Message> Call(const char* path, const char* interface, const char* method,
                       const char* argument) {
    sd_bus_message* raw = nullptr;
    int status = sd_bus_message_new_method_call(bus_, &raw, "org.freedesktop.login1", path,
                                                interface, method);
    const Message call(raw);
    if (status >= 0) status = sd_bus_message_set_auto_start(call.get(), 0);
    if (status >= 0 && argument != nullptr) status = sd_bus_message_append(raw, "s", argument);
    const microseconds left = deadline_ - MonotonicNow();
    if (status >= 0 && left.count() <= 0) status = -ETIMEDOUT;
    if (status < 0) return BusFailure("cannot ask logind", status);
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* answer = nullptr;
    status =
        sd_bus_call(bus_, call.get(), static_cast<std::uint64_t>(left.count()), &error, &answer);
    const bool gone =
        sd_bus_error_has_name(&error, "org.freedesktop.DBus.Error.UnknownObject") != 0;
    const std::string reason =
        error.message != nullptr ? error.message : std::strerror(status < 0 ? -status : 0);
    sd_bus_error_free(&error);
    if (status >= 0) return Message(answer);
    return Fail(gone ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                fmt::format("logind does not answer: {}", reason));
  }

  // False: it ended meanwhile.
  Result<bool> Describe(const std::string& path, LoginSession& session) {
    auto reply = Call(path.c_str(), "org.freedesktop.DBus.Properties", "GetAll",
                      "org.freedesktop.login1.Session");
    if (!reply && reply.error().code == ErrorCode::kNotFound) return false;
    if (!reply) return std::unexpected(reply.error());
    Properties properties;
    if (const int status = ReadAll(reply->get(), session, properties); status < 0) {
      return BusFailure("logind described a session in a form that cannot be read", status);
    }
    if (properties.idle_since != 0)
      session.idle_since = microseconds(properties.idle_since_monotonic);
    session.console_hides_input = properties.console != 0 && ConsoleHidesInput(properties.console);
    return true;
  }

  // What takes more than one property to understand.
  struct Properties {
    std::uint64_t idle_since = 0;
    std::uint64_t idle_since_monotonic = 0;
    std::uint32_t console = 0;
  };

  static int ReadAll(sd_bus_message* message, LoginSession& session, Properties& properties) {
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

  static int ReadProperty(sd_bus_message* message, std::string_view name, LoginSession& session,
                          Properties& properties) {
    const auto text = [&](std::string& into) {
      const char* value = nullptr;
      const int status = sd_bus_message_read(message, "v", "s", &value);
      if (status >= 0) into = value;
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
    if (name == "Display") return text(session.display);
    if (name == "Active") return flag(session.active);
    if (name == "Remote") return flag(session.remote);
    if (name == "IdleHint") return flag(session.idle_hint);
    if (name == "LockedHint") return flag(session.locked);
    if (name == "VTNr") return sd_bus_message_read(message, "v", "u", &properties.console);
    if (name == "IdleSinceHint")
      return sd_bus_message_read(message, "v", "t", &properties.idle_since);
    if (name == "IdleSinceHintMonotonic") {
      return sd_bus_message_read(message, "v", "t", &properties.idle_since_monotonic);
    }
    if (name == "State") {
      std::string state;
      const int status = text(state);
      session.closing = state == "closing";
      return status;
    }
    return sd_bus_message_skip(message, "v");
  }

  sd_bus* bus_;
  microseconds deadline_;
};

class LogindPresenceSource : public PresenceSource {
 public:
  explicit LogindPresenceSource(std::vector<std::string> watched_displays)
      : watched_displays_(std::move(watched_displays)) {}

  std::string name() const override { return "logind"; }

  PresenceReading Read() override {
    const auto sessions = ReadSessions();
    if (sessions) return JudgeSessions(*sessions, MonotonicNow(), watched_displays_);
    return {.source = name(), .known = false, .idle_for = {}, .detail = sessions.error().message};
  }

  Result<std::vector<LoginSession>> ReadSessions() {
    const microseconds deadline = MonotonicNow() + kReadTimeout;
    if (bus_ == nullptr) {
      sd_bus* bus = nullptr;
      if (const int status = sd_bus_open_system(&bus); status < 0) {
        return BusFailure("cannot reach the system bus", status);
      }
      bus_.reset(bus);
    }
    LogindCalls calls(bus_.get(), deadline);
    const Status ready = calls.WaitUntilReady();
    auto sessions = ready ? calls.Sessions() : std::unexpected(ready.error());
    // Answers that come too late must not pile up, and a bus that broke is opened anew.
    if (!sessions) bus_.reset();
    return sessions;
  }

 private:
  std::vector<std::string> watched_displays_;
  Bus bus_;
};

}  // namespace

Result<std::unique_ptr<PresenceSource>> NewLogindPresenceSource(
    std::vector<std::string> watched_displays) {
  auto source = std::make_unique<LogindPresenceSource>(std::move(watched_displays));
  FALLOW_RETURN_IF_ERROR(source->ReadSessions());
  return source;
}

}  // namespace fallow
