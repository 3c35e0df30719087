// A service on a private bus, played by the test on a thread of its own.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <systemd/sd-bus.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

namespace fallow::testing {

class PlayedService {
 public:
  using Value = std::variant<bool, std::int32_t, std::uint32_t, std::string>;
  // Writes the answer to a call into `reply`, on the service's thread. False: there is no such
  // object.
  using Method = std::function<bool(sd_bus_message* call, sd_bus_message* reply)>;

  // From Start on it answers, whatever object is asked.
  explicit PlayedService(std::string name) : name_(std::move(name)) {}
  ~PlayedService() { Stop(); }
  PlayedService(const PlayedService&) = delete;
  PlayedService& operator=(const PlayedService&) = delete;

  void Start() {
    ASSERT_GE(sd_bus_open_system(&bus_), 0);
    ASSERT_GE(sd_bus_add_filter(bus_, nullptr, OnMessage, this), 0);
    ASSERT_GE(sd_bus_request_name(bus_, name_.c_str(), 0), 0);
    ending_ = false;
    thread_ = std::thread([this, descriptor = sd_bus_get_fd(bus_)] {
      while (!ending_) {
        int done = 0;
        {
          const std::lock_guard lock(mutex_);
          done = sd_bus_process(bus_, nullptr);
        }
        if (done < 0) return;  // the bus has ended
        pollfd readable{.fd = descriptor, .events = POLLIN, .revents = 0};
        if (done == 0) poll(&readable, 1, 2);
      }
    });
  }
  // It leaves the bus.
  void Stop() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
    bus_ = sd_bus_flush_close_unref(bus_);
  }
  // It takes calls and answers none, until told otherwise.
  void FallSilent(bool silent = true) { silent_ = silent; }

  template <class Answer>  // a Method, or one that always answers and returns nothing
  void On(const std::string& method, Answer answer) {
    const std::lock_guard lock(mutex_);
    methods_[method] = [answer](sd_bus_message* call, sd_bus_message* reply) {
      if constexpr (std::is_void_v<
                        std::invoke_result_t<Answer, sd_bus_message*, sd_bus_message*>>) {
        answer(call, reply);
        return true;
      } else {
        return answer(call, reply);
      }
    };
  }
  void Set(const std::string& property, Value value) {
    const std::lock_guard lock(mutex_);
    properties_[property] = std::move(value);
  }
  // A signal that says that a property of `interface` changed, which one being of no interest.
  void EmitPropertiesChanged(const std::string& path, const std::string& interface) {
    const std::lock_guard lock(mutex_);
    ASSERT_GE(sd_bus_emit_signal(bus_, path.c_str(), "org.freedesktop.DBus.Properties",
                                 "PropertiesChanged", "sa{sv}as", interface.c_str(), 0, 1, "X"),
              0);
    sd_bus_flush(bus_);
  }
  template <class... Arguments>
  void Emit(const std::string& path, const std::string& interface, const char* signal,
            const char* types = "", Arguments... arguments) {
    const std::lock_guard lock(mutex_);
    ASSERT_GE(
        sd_bus_emit_signal(bus_, path.c_str(), interface.c_str(), signal, types, arguments...), 0);
    sd_bus_flush(bus_);
  }

  // Calls that were answered or ignored.
  int calls() const { return calls_; }

 private:
  static int OnMessage(sd_bus_message* message, void* self, sd_bus_error*) {
    return static_cast<PlayedService*>(self)->Answer(message);
  }

  int Answer(sd_bus_message* call) {
    if (sd_bus_message_is_method_call(call, nullptr, nullptr) <= 0) return 0;
    ++calls_;
    if (silent_) return 1;
    if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get") > 0)
      return AnswerGet(call);
    const auto method = methods_.find(sd_bus_message_get_member(call));
    if (method == methods_.end()) return AnswerUnknown(call);
    sd_bus_message* reply = nullptr;
    sd_bus_message_new_method_return(call, &reply);
    if (method->second(call, reply)) return Send(reply);
    sd_bus_message_unref(reply);
    return sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.UnknownObject", "No '%s'",
                                      sd_bus_message_get_path(call));
  }

  int AnswerGet(sd_bus_message* call) {
    const char *interface = nullptr, *name = nullptr;
    sd_bus_message_read(call, "ss", &interface, &name);
    const auto property = properties_.find(name);
    if (property == properties_.end()) return AnswerUnknown(call);
    sd_bus_message* reply = nullptr;
    sd_bus_message_new_method_return(call, &reply);
    const Value& value = property->second;
    if (const auto* flag = std::get_if<bool>(&value))
      sd_bus_message_append(reply, "v", "b", static_cast<int>(*flag));
    if (const auto* number = std::get_if<std::int32_t>(&value))
      sd_bus_message_append(reply, "v", "i", *number);
    if (const auto* number = std::get_if<std::uint32_t>(&value))
      sd_bus_message_append(reply, "v", "u", *number);
    if (const auto* text = std::get_if<std::string>(&value))
      sd_bus_message_append(reply, "v", "s", text->c_str());
    return Send(reply);
  }

  static int AnswerUnknown(sd_bus_message* call) {
    return sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.UnknownMethod", "No '%s'",
                                      sd_bus_message_get_member(call));
  }

  static int Send(sd_bus_message* reply) {
    const int status = sd_bus_send(nullptr, reply, nullptr);
    sd_bus_message_unref(reply);
    return status < 0 ? status : 1;
  }

  const std::string name_;
  std::mutex mutex_;
  sd_bus* bus_ = nullptr;                    // guarded by mutex_ while the thread runs
  std::map<std::string, Method> methods_;    // guarded by mutex_
  std::map<std::string, Value> properties_;  // guarded by mutex_
  std::atomic<bool> ending_ = false;
  std::atomic<bool> silent_ = false;
  std::atomic<int> calls_ = 0;
  std::thread thread_;
};

}  // namespace fallow::testing
