#include "platform/linux/wayland_idle_clock.h"

#include <utility>

#include "generated/wayland/ext_idle_notify_client.h"
#include "generated/wayland/kde_idle_client.h"

namespace fallow {
namespace {

using Seat = WaylandIdleClock::Seat;
using OnChange = std::function<void(Seat)>;
using std::chrono::milliseconds;

// Later versions add a notification that does not heed idle inhibitors. We want the one that does.
constexpr std::uint32_t kVersion = 1;

// Destroys a Wayland object by its own request.
template <auto kDestroy>
struct DestroyWith {
  template <class T>
  void operator()(T* object) const {
    kDestroy(object);
  }
};

class ExtNotice : public WaylandIdleClock::Notice {
 public:
  ExtNotice(ext_idle_notification_v1* notification, OnChange on_change)
      : notification_(notification), on_change_(std::move(on_change)) {
    static constexpr ext_idle_notification_v1_listener kListener = {
        .idled = [](void* self, auto*) { static_cast<ExtNotice*>(self)->on_change_(Seat::kIdle); },
        .resumed = [](void* self,
                      auto*) { static_cast<ExtNotice*>(self)->on_change_(Seat::kInUse); },
    };
    ext_idle_notification_v1_add_listener(notification_.get(), &kListener, this);
  }

 private:
  std::unique_ptr<ext_idle_notification_v1, DestroyWith<ext_idle_notification_v1_destroy>>
      notification_;
  OnChange on_change_;
};

class ExtIdleClock : public WaylandIdleClock {
 public:
  explicit ExtIdleClock(ext_idle_notifier_v1* notifier) : notifier_(notifier) {}
  std::string_view protocol() const override { return ext_idle_notifier_v1_interface.name; }
  std::unique_ptr<Notice> Watch(wl_seat* seat, milliseconds after, OnChange on_change) override {
    return std::make_unique<ExtNotice>(
        ext_idle_notifier_v1_get_idle_notification(notifier_.get(),
                                                   static_cast<std::uint32_t>(after.count()), seat),
        std::move(on_change));
  }

 private:
  std::unique_ptr<ext_idle_notifier_v1, DestroyWith<ext_idle_notifier_v1_destroy>> notifier_;
};

class KdeNotice : public WaylandIdleClock::Notice {
 public:
  KdeNotice(org_kde_kwin_idle_timeout* timeout, OnChange on_change)
      : timeout_(timeout), on_change_(std::move(on_change)) {
    static constexpr org_kde_kwin_idle_timeout_listener kListener = {
        .idle = [](void* self, auto*) { static_cast<KdeNotice*>(self)->on_change_(Seat::kIdle); },
        .resumed = [](void* self,
                      auto*) { static_cast<KdeNotice*>(self)->on_change_(Seat::kInUse); },
    };
    org_kde_kwin_idle_timeout_add_listener(timeout_.get(), &kListener, this);
  }

 private:
  std::unique_ptr<org_kde_kwin_idle_timeout, DestroyWith<org_kde_kwin_idle_timeout_release>>
      timeout_;
  OnChange on_change_;
};

class KdeIdleClock : public WaylandIdleClock {
 public:
  explicit KdeIdleClock(org_kde_kwin_idle* idle) : idle_(idle) {}
  std::string_view protocol() const override { return org_kde_kwin_idle_interface.name; }
  std::unique_ptr<Notice> Watch(wl_seat* seat, milliseconds after, OnChange on_change) override {
    return std::make_unique<KdeNotice>(
        org_kde_kwin_idle_get_idle_timeout(idle_.get(), seat,
                                           static_cast<std::uint32_t>(after.count())),
        std::move(on_change));
  }

 private:
  std::unique_ptr<org_kde_kwin_idle, DestroyWith<org_kde_kwin_idle_destroy>> idle_;
};

}  // namespace

int RankOfIdleClock(std::string_view interface) {
  if (interface == ext_idle_notifier_v1_interface.name) return 2;
  if (interface == org_kde_kwin_idle_interface.name) return 1;
  return 0;
}

std::unique_ptr<WaylandIdleClock> BindIdleClock(wl_registry* registry, std::uint32_t name,
                                                std::string_view interface) {
  const bool is_ext = interface == ext_idle_notifier_v1_interface.name;
  void* bound = wl_registry_bind(
      registry, name, is_ext ? &ext_idle_notifier_v1_interface : &org_kde_kwin_idle_interface,
      kVersion);
  if (is_ext) return std::make_unique<ExtIdleClock>(static_cast<ext_idle_notifier_v1*>(bound));
  return std::make_unique<KdeIdleClock>(static_cast<org_kde_kwin_idle*>(bound));
}

}  // namespace fallow
