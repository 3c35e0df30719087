// A D-Bus connection on the main loop, by sd-bus. For files of platform/linux alone.
//
// Threading: the loop's thread. Calls block, but never for longer than kBusPatience: what a service
// that hangs costs us. Signals come from the loop, never from inside a call. Nothing here starts a
// service.
#pragma once

#include <systemd/sd-bus.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "platform/loop.h"
#include "platform/uv/descriptor_watch.h"

namespace fallow {

inline constexpr std::chrono::milliseconds kBusPatience{200};
// The loop's other work gets its turn between as many messages.
inline constexpr int kMaxBusMessagesPerTurn = 64;

struct UnrefBusMessage {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using BusMessage = std::unique_ptr<sd_bus_message, UnrefBusMessage>;
struct UnrefBusSlot {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};

// What is spoken to.
struct BusObject {
  std::string service;
  std::string path;
  std::string interface;
};

class Bus {
 public:
  enum class Which : std::uint8_t { kSession, kSystem };
  using Deadline = std::chrono::steady_clock::time_point;

  // Signals of one kind; ends with its destruction, which may come after the bus's, and from inside
  // its handler.
  using Subscription = std::unique_ptr<sd_bus_slot, UnrefBusSlot>;
  // Gets a signal's message; its arguments are read with sd_bus_message_read.
  using SignalHandler = std::function<void(sd_bus_message*)>;

  // kUnavailable, with the reason, if there is no bus, or none that answers by `deadline`.
  static Result<std::unique_ptr<Bus>> Open(Loop& loop, Which which,
                                           Deadline deadline = std::chrono::steady_clock::now() +
                                                               kBusPatience);
  ~Bus();
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  // While it lives, all calls together end by `deadline`; without one each has kBusPatience.
  class [[nodiscard]] Together {
   public:
    explicit Together(Bus& bus, Deadline deadline = std::chrono::steady_clock::now() + kBusPatience)
        : bus_(bus) {
      bus_.deadline_ = deadline;
    }
    ~Together() { bus_.deadline_.reset(); }
    Together(const Together&) = delete;
    Together& operator=(const Together&) = delete;

   private:
    Bus& bus_;
  };

  // `types` and the arguments as in sd_bus_message_append.
  // kUnavailable: nobody owns the name, or the bus is lost; kDeadlineExceeded: no answer in time;
  // kNotFound: no such object, interface or member; kPermissionDenied.
  template <class... Arguments>
  Result<BusMessage> Call(const BusObject& object, const char* method, const char* types = "",
                          Arguments... arguments) {
    FALLOW_ASSIGN_OR_RETURN(BusMessage call, NewCall(object, method));
    const int status = sd_bus_message_append(call.get(), types, arguments...);
    return Send(object, method, std::move(call), status);
  }
  // A property's value: the message stands inside the variant, ready to be read. `type`: "u".
  Result<BusMessage> Property(const BusObject& object, const char* name, const char* type);
  Result<std::uint32_t> PropertyU32(const BusObject& object, const char* name);
  Result<std::int32_t> PropertyI32(const BusObject& object, const char* name);
  Result<bool> PropertyBool(const BusObject& object, const char* name);
  Result<std::string> PropertyText(const BusObject& object, const char* name);

  // Signals from `object`, those alone whose first argument is the text `first`, if it is given. An
  // empty service: from anybody; an empty path: of any object.
  Result<Subscription> OnSignal(const BusObject& object, const char* member, SignalHandler handler,
                                const std::string& first = "");
  // `fn` is called after PropertiesChanged of the object named its interface.
  Result<Subscription> OnPropertiesChanged(const BusObject& object, std::function<void()> fn);
  // `fn` is called after `service` came, went or changed hands.
  Result<Subscription> OnOwnerChanged(const std::string& service, std::function<void()> fn);

  // Once, when the connection is lost; a broken bus answers every call with an error. Whoever
  // opened it opens a new one.
  void OnBroken(std::function<void()> fn) { on_broken_ = std::move(fn); }
  bool broken() const { return broken_ || sd_bus_is_open(bus_) <= 0; }

 private:
  explicit Bus(Loop& loop) : loop_(loop) {}
  Status WaitUntilReady(Deadline deadline);
  Result<BusMessage> NewCall(const BusObject& object, const char* method);
  Result<BusMessage> Send(const BusObject& object, const char* method, BusMessage call, int status);
  void Process();
  // Signals that arrived while a call waited for its answer are handed out at the loop's next turn.
  void ProcessSoon();
  void Break();

  Loop& loop_;
  sd_bus* bus_ = nullptr;
  std::unique_ptr<DescriptorWatch> watch_;
  std::function<void()> on_broken_;
  std::optional<Deadline> deadline_;
  bool broken_ = false;
  bool process_posted_ = false;
  // Posted calls look here before they touch the bus.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace fallow
