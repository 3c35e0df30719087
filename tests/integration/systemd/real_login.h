// A session of a real logind, made as pam_systemd makes it. Inside a machine, as root.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "tests/integration/platform/server_process.h"

namespace fallow::testing {

inline constexpr std::uint32_t kAnna = 1000;  // the user id, see machine.sh

// What PAM would tell of it.
struct LoginFacts {
  std::string type = "wayland";
  std::string session_class = "user";
  std::string seat;  // "seat0", or none
  std::string terminal;
  std::string remote_host;  // of a remote one
};

class RealLogin {
 public:
  // Fails the running test if logind refuses it.
  explicit RealLogin(const LoginFacts& facts) {
    EXPECT_GE(sd_bus_open_system(&bus_), 0);
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* reply = nullptr;
    const int status = sd_bus_call_method(
        bus_, kService, "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
        "CreateSession", &error, &reply, "uusssssussbssa(sv)", kAnna, leader_.process_id(), "login",
        facts.type.c_str(), facts.session_class.c_str(), "", facts.seat.c_str(), 0u,
        facts.terminal.c_str(), "", static_cast<int>(!facts.remote_host.empty()), "",
        facts.remote_host.c_str(), 0u);
    EXPECT_GE(status, 0) << (error.message != nullptr ? error.message : "");
    const char *id = "", *path = "";
    int lifeline = -1;
    const int got = sd_bus_message_read(reply, "soshusub", &id, &path, nullptr, &lifeline, nullptr,
                                        nullptr, nullptr, nullptr);
    EXPECT_TRUE(status < 0 || got > 0);
    id_ = id;
    path_ = path;
    lifeline_ = fcntl(lifeline, F_DUPFD_CLOEXEC, 0);
    sd_bus_error_free(&error);
    sd_bus_message_unref(reply);
  }
  ~RealLogin() {
    if (lifeline_ >= 0) close(lifeline_);
    sd_bus_flush_close_unref(bus_);
  }
  RealLogin(const RealLogin&) = delete;
  RealLogin& operator=(const RealLogin&) = delete;

  const std::string& id() const { return id_; }

  // As its desktop says.
  void SetIdleHint(bool idle) { Tell("SetIdleHint", "b", static_cast<int>(idle)); }
  void SetLockedHint(bool locked) { Tell("SetLockedHint", "b", static_cast<int>(locked)); }
  void Activate() { Tell("Activate", ""); }
  void Terminate() { Tell("Terminate", ""); }

 private:
  static constexpr const char* kService = "org.freedesktop.login1";

  template <class... Arguments>
  void Tell(const char* method, const char* types, Arguments... arguments) {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    EXPECT_GE(sd_bus_call_method(bus_, kService, path_.c_str(), "org.freedesktop.login1.Session",
                                 method, &error, nullptr, types, arguments...),
              0)
        << method << ": " << (error.message != nullptr ? error.message : "");
    sd_bus_error_free(&error);
  }

  ServerProcess leader_{{"/usr/bin/sleep", "infinity"}};
  sd_bus* bus_ = nullptr;
  std::string id_, path_;
  int lifeline_ = -1;  // the session ends when it is closed
};

}  // namespace fallow::testing
