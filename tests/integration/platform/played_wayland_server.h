// A Wayland server that a test plays on a thread of its own. It does what no real one does on
// demand: it hangs, floods, breaks the protocol.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wayland-server.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <string>
#include <thread>

namespace fallow::testing {

// A kind of server derives from it, makes its globals, and calls Run last; it calls End before its
// own parts go.
class PlayedWaylandServer {
 public:
  explicit PlayedWaylandServer(const std::string& path) : display_(wl_display_create()) {
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    unlink(path.c_str());
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener, 8) != 0 || wl_display_add_socket_fd(display_, listener) != 0 ||
        pipe2(orders_, O_CLOEXEC) != 0) {
      std::abort();
    }
    orders_source_ = wl_event_loop_add_fd(
        wl_display_get_event_loop(display_), orders_[0], WL_EVENT_READABLE,
        [](int descriptor, std::uint32_t, void*) {
          void* order = nullptr;
          if (read(descriptor, &order, sizeof(order)) == sizeof(order))
            (*static_cast<std::packaged_task<void()>*>(order))();
          return 0;
        },
        nullptr);
  }
  ~PlayedWaylandServer() {
    wl_event_source_remove(orders_source_);
    wl_display_destroy_clients(display_);
    wl_display_destroy(display_);
    close(orders_[0]);
    close(orders_[1]);
  }
  PlayedWaylandServer(const PlayedWaylandServer&) = delete;
  PlayedWaylandServer& operator=(const PlayedWaylandServer&) = delete;

  // Runs `fn` on the server's thread, to its end.
  void Do(std::function<void()> fn) {
    std::packaged_task<void()> order([this, fn = std::move(fn)] {
      fn();
      wl_display_flush_clients(display_);
    });
    Send(order);
    order.get_future().wait();
  }
  // Runs `fn` while the server does nothing.
  void WhileHanging(const std::function<void()>& fn) {
    std::promise<void> end;
    std::packaged_task<void()> order([&] { end.get_future().wait(); });
    Send(order);
    fn();
    end.set_value();
    order.get_future().wait();
  }

 protected:
  void Run() {
    thread_ = std::thread([this] { wl_display_run(display_); });
  }
  // Nothing is called any more.
  void End() {
    Do([this] { wl_display_terminate(display_); });
    thread_.join();
    wl_display_destroy_clients(display_);
  }
  wl_display* display() { return display_; }

  static void DestroyResource(wl_client*, wl_resource* resource) { wl_resource_destroy(resource); }

 private:
  void Send(std::packaged_task<void()>& order) {
    void* pointer = &order;
    if (write(orders_[1], &pointer, sizeof(pointer)) != sizeof(pointer)) std::abort();
  }

  wl_display* display_;
  int orders_[2] = {-1, -1};
  wl_event_source* orders_source_ = nullptr;
  std::thread thread_;
};

}  // namespace fallow::testing
