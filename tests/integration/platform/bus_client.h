// A program of the test's own on its private bus. When it goes, services see their caller die.
//
// Threading: one thread. Calls block until they are answered, at most 20 s.
#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <string>

namespace fallow::testing {

struct UnrefMessage {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, UnrefMessage>;

class BusClient {
 public:
  BusClient() {
    if (sd_bus_open_user(&bus_) >= 0) sd_bus_set_method_call_timeout(bus_, 20'000'000);
  }
  ~BusClient() { sd_bus_flush_close_unref(bus_); }
  BusClient(const BusClient&) = delete;
  BusClient& operator=(const BusClient&) = delete;

  // The answer; null if there is none, or an error.
  template <class... Arguments>
  Message Call(const char* service, const std::string& path, const char* interface,
               const char* method, const char* types = "", Arguments... arguments) {
    sd_bus_message* answer = nullptr;
    if (bus_ == nullptr || sd_bus_call_method(bus_, service, path.c_str(), interface, method,
                                              nullptr, &answer, types, arguments...) < 0)
      return nullptr;
    return Message(answer);
  }
  bool OwnsName(const char* name) {
    const Message answer = Call("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "NameHasOwner", "s", name);
    int owned = 0;
    return answer != nullptr && sd_bus_message_read(answer.get(), "b", &owned) > 0 && owned != 0;
  }

 private:
  sd_bus* bus_ = nullptr;  // null: there is no bus
};

}  // namespace fallow::testing
