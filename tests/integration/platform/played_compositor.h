// A Wayland compositor that a test plays: seats and idle clocks without screens.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <string>

#include "generated/wayland/ext_idle_notify_server.h"
#include "generated/wayland/kde_idle_server.h"
#include "tests/integration/platform/played_wayland_server.h"

namespace fallow::testing {

class PlayedCompositor : public PlayedWaylandServer {
 public:
  struct Options {
    int seats = 1;
    bool ext_idle = true;
    bool kde_idle = false;
  };

  PlayedCompositor(const std::string& path, Options options) : PlayedWaylandServer(path) {
    for (int i = 0; i < options.seats; ++i) AddSeatGlobal();
    if (options.ext_idle) ext_ = AddClock(&ext_idle_notifier_v1_interface, BindExt);
    if (options.kde_idle) kde_ = AddClock(&org_kde_kwin_idle_interface, BindKde);
    Run();
  }
  ~PlayedCompositor() { End(); }
  PlayedCompositor(const PlayedCompositor&) = delete;
  PlayedCompositor& operator=(const PlayedCompositor&) = delete;

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
        display(), &wl_seat_interface, 7, &seats_.back(),
        [](wl_client* client, void* place, std::uint32_t version, std::uint32_t id) {
          wl_resource* seat =
              wl_resource_create(client, &wl_seat_interface, static_cast<int>(version), id);
          wl_resource_set_implementation(seat, nullptr, place, nullptr);
        });
  }

  wl_global* AddClock(const wl_interface* interface, wl_global_bind_func_t bind) {
    return wl_global_create(display(), interface, 1, this, bind);
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
  // All of it belongs to the thread once that runs.
  std::deque<wl_global*> seats_;  // a deque: their resources keep their places
  std::list<Notice> notices_;
  wl_global* ext_ = nullptr;
  wl_global* kde_ = nullptr;
};

}  // namespace fallow::testing
