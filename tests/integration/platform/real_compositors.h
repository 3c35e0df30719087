// Wayland compositors of the system, started by a test without screens, and a hand on their input.
#pragma once

#include <memory>
#include <string>

namespace fallow::testing {

class RealCompositor {
 public:
  virtual ~RealCompositor() = default;  // ends it
  virtual std::string name() const = 0;
  virtual std::string protocol() const = 0;  // that it is expected to offer
  virtual std::string socket_path() const = 0;
  virtual bool Touch() = 0;  // what a hand does; false if that did not work
  virtual void Signal(int number) = 0;
  virtual void Kill() = 0;
};

// Each waits until it serves. Null, with the reason in `why_not`, if it is not installed or does
// not start.
//
// Its pointer is moved by its own command socket.
std::unique_ptr<RealCompositor> StartSway(std::string& why_not);
// Its pointer is moved by its fake-input protocol. It trusts every program; or, if `data_folder` is
// given, those that the .desktop files in its "applications" speak for, and nobody moves it.
std::unique_ptr<RealCompositor> StartKWin(std::string& why_not,
                                          const std::string& data_folder = "");

}  // namespace fallow::testing
