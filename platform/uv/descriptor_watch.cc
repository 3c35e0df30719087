#include "platform/uv/descriptor_watch.h"

#include <uv.h>

#include <utility>

#include "base/check.h"
#include "platform/uv/uv_loop.h"

namespace fallow {
namespace {

// Owns itself once its watch has gone: libuv closes handles later.
struct Poll {
  uv_poll_t handle{};
  std::function<void()> fn;
};

class UvDescriptorWatch : public DescriptorWatch {
 public:
  UvDescriptorWatch(Loop& loop, int descriptor, std::function<void()> fn) : poll_(new Poll) {
    poll_->fn = std::move(fn);
    FALLOW_CHECK(uv_poll_init(UvLoop::Of(loop), &poll_->handle, descriptor) == 0);
    poll_->handle.data = poll_;
    const auto on_event = [](uv_poll_t* handle, int, int) {
      // A copy: the function may destroy the watch, and itself with it.
      if (const auto call = static_cast<Poll*>(handle->data)->fn) call();
    };
    FALLOW_CHECK(uv_poll_start(&poll_->handle, UV_READABLE | UV_DISCONNECT, on_event) == 0);
  }
  ~UvDescriptorWatch() override {
    uv_poll_stop(&poll_->handle);
    poll_->fn = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_->handle),
             [](uv_handle_t* handle) { delete static_cast<Poll*>(handle->data); });
  }
  UvDescriptorWatch(const UvDescriptorWatch&) = delete;
  UvDescriptorWatch& operator=(const UvDescriptorWatch&) = delete;

 private:
  Poll* poll_;
};

}  // namespace

std::unique_ptr<DescriptorWatch> WatchDescriptor(Loop& loop, int descriptor,
                                                 std::function<void()> fn) {
  return std::make_unique<UvDescriptorWatch>(loop, descriptor, std::move(fn));
}

}  // namespace fallow
