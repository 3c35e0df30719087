// A Wayland compositor that a test plays: seats and idle clocks without screens, on a thread of its
// own. It does what no real one does on demand: it hangs, floods, breaks the protocol.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <wayland-server.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <string>
#include <thread>

#include "generated/wayland/ext_idle_notify_server.h"
#include "generated/wayland/kde_idle_server.h"

namespace fallow::testing {

class PlayedCompositor {
 public:
  struct Options {
    int seats = 1;
    bool ext_idle = true;
    bool kde_idle = false;
  };

  PlayedCompositor(const std::string& path, Options options) : display_(wl_display_create()) {
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
          std::packaged_task<void()>* order = nullptr;
          if (read(descriptor, &order, sizeof(order)) == sizeof(order)) (*order)();
          return 0;
        },
        nullptr);
    for (int i = 0; i < options.seats; ++i) AddSeatGlobal();
    if (options.ext_idle) ext_ = AddClock(&ext_idle_notifier_v1_interface, BindExt);
    if (options.kde_idle) kde_ = AddClock(&org_kde_kwin_idle_interface, BindKde);
    thread_ = std::thread([this] { wl_display_run(display_); });
  }
  ~PlayedCompositor() {
    Do([this] { wl_display_terminate(display_); });
    thread_.join();
    wl_event_source_remove(orders_source_);
    wl_display_destroy_clients(display_);
    wl_display_destroy(display_);
    close(orders_[0]);
    close(orders_[1]);
  }
  PlayedCompositor(const PlayedCompositor&) = delete;
  PlayedCompositor& operator=(const PlayedCompositor&) = delete;

  // Runs `fn` on the compositor's thread, to its end.
  void Do(std::function<void()> fn) {
    std::packaged_task<void()> order([this, fn = std::move(fn)] {
      fn();
      wl_display_flush_clients(display_);
    });
    Send(order);
    order.get_future().wait();
  }
  // Runs `fn` while the compositor does nothing.
  void WhileHanging(const std::function<void()>& fn) {
    std::promise<void> end;
    std::packaged_task<void()> order([&] { end.get_future().wait(); });
    Send(order);
    fn();
    end.set_value();
    order.get_future().wait();
  }

  void Idle(std::size_t seat = 0) {
    ForNotices(seat, [](const Notice& notice) {
      notice.is_ext ? ext_idle_notification_v1_send_idled(notice.resource)
                    : org_kde_kwin_idle_timeout_send_idle(notice.resource);
    });
  }
  void Use(std::size_t seat = 0) {
    ForNotices(seat, [](const Notice& notice) {
      notice.is_ext ? ext_idle_notification_v1_send_resumed(notice.resource)
                    : org_kde_kwin_idle_timeout_send_resumed(notice.resource);
    });
  }
  // The same news again and again, at once.
  void Flood(int events) {
    Do([&] {
      for (int i = 0; i < events; ++i) {
        ext_idle_notification_v1_send_idled(notices_.front().resource);
      }
    });
  }
  void AddSeat() {
    Do([this] { AddSeatGlobal(); });
  }
  void RemoveSeat(std::size_t seat) {
    Do([&] {
      wl_global_destroy(seats_.at(seat));
      seats_.at(seat) = nullptr;
    });
  }
  void WithdrawExtIdle() {
    Do([this] { wl_global_destroy(ext_); });
  }
  // Says that the client did something forbidden, about each notice.
  void Complain() {
    ForNotices(0, [](const Notice& notice) { wl_resource_post_error(notice.resource, 7, "no"); });
  }
  std::size_t notices() {
    std::size_t count = 0;
    Do([&] { count = notices_.size(); });
    return count;
  }
  std::uint32_t timeout_ms() {
    std::uint32_t timeout = 0;
    Do([&] { timeout = notices_.empty() ? 0 : notices_.front().timeout_ms; });
    return timeout;
  }

 private:
  struct Notice {
    wl_resource* resource = nullptr;
    wl_global* seat = nullptr;
    std::uint32_t timeout_ms = 0;
    bool is_ext = false;
  };

  void Send(std::packaged_task<void()>& order) {
    auto* pointer = &order;
    if (write(orders_[1], &pointer, sizeof(pointer)) != sizeof(pointer)) std::abort();
  }

  void ForNotices(std::size_t seat, const std::function<void(const Notice&)>& fn) {
    Do([&] {
      for (const Notice& notice : notices_) {
        if (notice.seat == seats_.at(seat)) fn(notice);
      }
    });
  }

  void AddSeatGlobal() {
    seats_.push_back(nullptr);
    seats_.back() = wl_global_create(
        display_, &wl_seat_interface, 7, &seats_.back(),
        [](wl_client* client, void* place, std::uint32_t version, std::uint32_t id) {
          wl_resource* seat =
              wl_resource_create(client, &wl_seat_interface, static_cast<int>(version), id);
          wl_resource_set_implementation(seat, nullptr, place, nullptr);
        });
  }

  wl_global* AddClock(const wl_interface* interface, wl_global_bind_func_t bind) {
    return wl_global_create(display_, interface, 1, this, bind);
  }

  static void BindExt(wl_client* client, void* self, std::uint32_t, std::uint32_t id) {
    static const struct ext_idle_notifier_v1_interface kRequests = {
        .destroy = DestroyResource,
        .get_idle_notification = [](wl_client* owner, wl_resource* clock, std::uint32_t notice,
                                    std::uint32_t timeout, wl_resource* seat) {
          static const struct ext_idle_notification_v1_interface kNoticeRequests = {
              .destroy = DestroyResource};
          Self(clock).AddNotice(
              wl_resource_create(owner, &ext_idle_notification_v1_interface, 1, notice),
              &kNoticeRequests, seat, timeout, true);
        }};
    wl_resource* clock = wl_resource_create(client, &ext_idle_notifier_v1_interface, 1, id);
    wl_resource_set_implementation(clock, &kRequests, self, nullptr);
  }

  static void BindKde(wl_client* client, void* self, std::uint32_t, std::uint32_t id) {
    static const struct org_kde_kwin_idle_interface kRequests = {
        .get_idle_timeout = [](wl_client* owner, wl_resource* clock, std::uint32_t notice,
                               wl_resource* seat, std::uint32_t timeout) {
          static const struct org_kde_kwin_idle_timeout_interface kNoticeRequests = {
              .release = DestroyResource,
              .simulate_user_activity = [](wl_client*, wl_resource*) {}};
          Self(clock).AddNotice(
              wl_resource_create(owner, &org_kde_kwin_idle_timeout_interface, 1, notice),
              &kNoticeRequests, seat, timeout, false);
        }};
    wl_resource* clock = wl_resource_create(client, &org_kde_kwin_idle_interface, 1, id);
    wl_resource_set_implementation(clock, &kRequests, self, nullptr);
  }

  void AddNotice(wl_resource* notice, const void* requests, wl_resource* seat,
                 std::uint32_t timeout_ms, bool is_ext) {
    auto* place = static_cast<wl_global**>(wl_resource_get_user_data(seat));
    notices_.push_back({notice, *place, timeout_ms, is_ext});
    wl_resource_set_implementation(notice, requests, this, [](wl_resource* gone) {
      std::erase_if(Self(gone).notices_, [&](const Notice& n) { return n.resource == gone; });
    });
  }

  static PlayedCompositor& Self(wl_resource* resource) {
    return *static_cast<PlayedCompositor*>(wl_resource_get_user_data(resource));
  }
  static void DestroyResource(wl_client*, wl_resource* resource) { wl_resource_destroy(resource); }

  wl_display* display_;
  int orders_[2] = {-1, -1};
  wl_event_source* orders_source_ = nullptr;
  // All of it belongs to the thread once that runs.
  std::deque<wl_global*> seats_;  // a deque: their resources keep their places
  std::list<Notice> notices_;
  wl_global* ext_ = nullptr;
  wl_global* kde_ = nullptr;
  std::thread thread_;
};

}  // namespace fallow::testing
