#include "platform/linux/bus.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fallow {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

std::string_view NameOf(Bus::Which which) {
  return which == Bus::Which::kSession ? "the session bus" : "the system bus";
}

// `status`: what the failed call returned.
ErrorCode CodeOf(const sd_bus_error& error, int status) {
  if (status == -ETIMEDOUT) return ErrorCode::kDeadlineExceeded;
  const auto is = [&](const char* name) { return sd_bus_error_has_name(&error, name) != 0; };
  if (is(SD_BUS_ERROR_UNKNOWN_OBJECT) || is(SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
      is(SD_BUS_ERROR_UNKNOWN_METHOD) || is(SD_BUS_ERROR_UNKNOWN_PROPERTY))
    return ErrorCode::kNotFound;
  if (is(SD_BUS_ERROR_ACCESS_DENIED) || is(SD_BUS_ERROR_AUTH_FAILED))
    return ErrorCode::kPermissionDenied;
  return ErrorCode::kUnavailable;
}

// Until `deadline`; 0 if it has passed.
std::uint64_t MicrosecondsUntil(Bus::Deadline deadline) {
  const auto left = std::chrono::ceil<microseconds>(deadline - steady_clock::now()).count();
  return left > 0 ? static_cast<std::uint64_t>(left) : 0;
}

// What a slot owns. A copy outlives the call, for a handler may end its own subscription.
using SharedHandler = std::shared_ptr<Bus::SignalHandler>;

int DeliverSignal(sd_bus_message* message, void* kept, sd_bus_error*) {
  const SharedHandler handler = *static_cast<SharedHandler*>(kept);
  (*handler)(message);
  return 0;
}

}  // namespace

Result<std::unique_ptr<Bus>> Bus::Open(Loop& loop, Which which, Deadline deadline) {
  std::unique_ptr<Bus> bus(new Bus(loop));
  const int status =
      which == Which::kSession ? sd_bus_open_user(&bus->bus_) : sd_bus_open_system(&bus->bus_);
  if (status < 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("cannot reach {}: {}", NameOf(which), std::strerror(-status)));
  }
  if (auto ready = bus->WaitUntilReady(deadline); !ready) return Wrap(ready.error(), NameOf(which));
  bus->watch_ =
      WatchDescriptor(loop, sd_bus_get_fd(bus->bus_), [raw = bus.get()] { raw->Process(); });
  return bus;
}

Bus::~Bus() {
  watch_.reset();
  sd_bus_close_unref(bus_);
}

Status Bus::WaitUntilReady(Deadline deadline) {
  while (true) {
    const int ready = sd_bus_is_ready(bus_);
    if (ready > 0) return {};
    const std::uint64_t left_us = MicrosecondsUntil(deadline);
    if (ready == 0 && left_us == 0) return Fail(ErrorCode::kUnavailable, "it does not answer");
    const int done = ready < 0 ? ready : sd_bus_process(bus_, nullptr);
    if (done < 0) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("it refused the connection: {}", std::strerror(-done)));
    }
    if (done == 0) sd_bus_wait(bus_, left_us);
  }
}

Result<BusMessage> Bus::NewCall(const BusObject& object, const char* method) {
  sd_bus_message* raw = nullptr;
  int status = broken_ ? -ENOTCONN
                       : sd_bus_message_new_method_call(bus_, &raw, object.service.c_str(),
                                                        object.path.c_str(),
                                                        object.interface.c_str(), method);
  BusMessage call(raw);
  if (status >= 0) status = sd_bus_message_set_auto_start(raw, 0);
  if (status >= 0) return call;
  return Fail(ErrorCode::kUnavailable, fmt::format("cannot call {}.{}: {}", object.interface,
                                                   method, std::strerror(-status)));
}

Result<BusMessage> Bus::Send(const BusObject& object, const char* method, BusMessage call,
                             int status) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* answer = nullptr;
  if (status >= 0) {
    const std::uint64_t left_us =
        MicrosecondsUntil(deadline_.value_or(steady_clock::now() + kBusPatience));
    // To sd-bus, 0 is a limit of its own choice.
    status = left_us == 0 ? -ETIMEDOUT : sd_bus_call(bus_, call.get(), left_us, &error, &answer);
    // Answered or not, the wait may have taken signals, or the connection's end, from the socket,
    // which then wakes nobody.
    ProcessSoon();
  }
  if (status >= 0) return BusMessage(answer);
  const ErrorCode code = CodeOf(error, status);
  const bool absent = sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) != 0 ||
                      sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN) != 0;
  const std::string reason = error.message != nullptr ? error.message : std::strerror(-status);
  sd_bus_error_free(&error);
  if (absent) return Fail(code, fmt::format("{} is not running", object.service));
  return Fail(code, fmt::format("{} does not answer {}: {}", object.service, method, reason));
}

Result<BusMessage> Bus::Property(const BusObject& object, const char* name, const char* type) {
  const BusObject properties{object.service, object.path, "org.freedesktop.DBus.Properties"};
  FALLOW_ASSIGN_OR_RETURN(BusMessage reply,
                          Call(properties, "Get", "ss", object.interface.c_str(), name));
  if (sd_bus_message_enter_container(reply.get(), 'v', type) <= 0) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: {} is not of type {}", object.service, name, type));
  }
  return reply;
}

namespace {

template <class T, class Raw>
Result<T> ReadOne(Result<BusMessage> message, char type, Raw raw) {
  if (!message) return std::unexpected(std::move(message).error());
  if (sd_bus_message_read_basic(message->get(), type, &raw) <= 0)
    return Fail(ErrorCode::kDataLoss, "a property without a value");
  return T(raw);
}

}  // namespace

Result<std::uint32_t> Bus::PropertyU32(const BusObject& object, const char* name) {
  return ReadOne<std::uint32_t>(Property(object, name, "u"), 'u', std::uint32_t{});
}
Result<std::int32_t> Bus::PropertyI32(const BusObject& object, const char* name) {
  return ReadOne<std::int32_t>(Property(object, name, "i"), 'i', std::int32_t{});
}
Result<bool> Bus::PropertyBool(const BusObject& object, const char* name) {
  return ReadOne<bool>(Property(object, name, "b"), 'b', int{});
}
Result<std::string> Bus::PropertyText(const BusObject& object, const char* name) {
  return ReadOne<std::string>(Property(object, name, "s"), 's', static_cast<const char*>(nullptr));
}

Result<Bus::Subscription> Bus::OnSignal(const BusObject& object, const char* member,
                                        SignalHandler handler, const std::string& first) {
  std::string match =
      fmt::format("type='signal',interface='{}',member='{}'", object.interface, member);
  if (!object.service.empty()) match += fmt::format(",sender='{}'", object.service);
  if (!object.path.empty()) match += fmt::format(",path='{}'", object.path);
  if (!first.empty()) match += fmt::format(",arg0='{}'", first);
  auto owned = std::make_unique<SharedHandler>(std::make_shared<SignalHandler>(std::move(handler)));
  sd_bus_slot* slot = nullptr;
  const int status = broken_ ? -ENOTCONN
                             : sd_bus_add_match_async(bus_, &slot, match.c_str(), DeliverSignal,
                                                      nullptr, owned.get());
  if (status < 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("cannot listen for {}.{}: {}", object.interface, member,
                            std::strerror(-status)));
  }
  sd_bus_slot_set_destroy_callback(slot,
                                   [](void* kept) { delete static_cast<SharedHandler*>(kept); });
  (void)owned.release();
  return Subscription(slot);
}

Result<Bus::Subscription> Bus::OnPropertiesChanged(const BusObject& object,
                                                   std::function<void()> fn) {
  const BusObject properties{object.service, object.path, "org.freedesktop.DBus.Properties"};
  return OnSignal(
      properties, "PropertiesChanged", [fn = std::move(fn)](sd_bus_message*) { fn(); },
      object.interface);
}

Result<Bus::Subscription> Bus::OnOwnerChanged(const std::string& service,
                                              std::function<void()> fn) {
  const BusObject driver{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"};
  return OnSignal(
      driver, "NameOwnerChanged", [fn = std::move(fn)](sd_bus_message*) { fn(); }, service);
}

void Bus::ProcessSoon() {
  if (std::exchange(process_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    process_posted_ = false;
    Process();
  });
}

void Bus::Process() {
  const std::weak_ptr<int> alive = alive_;
  for (int i = 0; i < kMaxBusMessagesPerTurn && !broken_; ++i) {
    const int done = sd_bus_process(bus_, nullptr);
    if (alive.expired()) return;  // a handler closed the bus
    if (done < 0 || sd_bus_is_open(bus_) <= 0) return Break();
    if (done == 0) return;
  }
  if (!broken_) ProcessSoon();
}

void Bus::Break() {
  broken_ = true;
  watch_.reset();
  if (const auto tell = std::exchange(on_broken_, nullptr)) tell();
}

}  // namespace fallow
