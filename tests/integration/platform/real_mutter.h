// GNOME's compositor, started by a test on its private bus without a screen, and a hand on its
// input.
//
// Threading: one thread; nothing happens but in its calls.
#pragma once

#include <memory>
#include <string>

#include "tests/integration/platform/bus_client.h"
#include "tests/integration/platform/server_process.h"
#include "tests/support/program.h"

namespace fallow::testing {

class RealMutter {
 public:
  struct Options {
    bool xwayland = false;        // X11 programs may come
    std::string manages_display;  // it is this X server's window manager, and no compositor
  };
  // Waits until it serves. Null, with the reason in `why_not`, if it or XWayland is not installed
  // or does not start.
  static std::unique_ptr<RealMutter> Start(std::string& why_not, const Options& options);
  ~RealMutter();  // ends it
  RealMutter(const RealMutter&) = delete;
  RealMutter& operator=(const RealMutter&) = delete;

  std::string wayland_socket() const { return folder_.path() + "/mutter"; }
  // What a login's environment says; empty without XWayland.
  const std::string& x_display() const { return x_display_; }
  const std::string& x_authority() const { return x_authority_; }

  // What a hand does, through its remote desktop; false if that did not work.
  bool MovePointer();
  bool PressKey();
  void Signal(int number) { process_->Signal(number); }
  void Kill() { process_->Kill(); }

 private:
  RealMutter() = default;
  bool Launch(const Options& options);
  bool ReadXDisplay();
  bool TakeHold();
  template <class... Arguments>
  bool Hand(const char* method, const char* types = "", Arguments... arguments);

  TemporaryFolder folder_;  // outlives the process
  std::unique_ptr<ServerProcess> process_;
  BusClient caller_;
  std::string hand_;  // the remote desktop's object, which lives as long as its caller
  std::string x_display_, x_authority_;
  int step_ = 10;  // pixels, to and fro
};

}  // namespace fallow::testing
