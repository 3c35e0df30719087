#include "engine/chat/jinja/budget.h"

#include <fmt/format.h>

namespace fallow::engine::jinja {

Status Budget::SpendSteps(std::uint64_t count) {
  if (count > steps_left_) {
    steps_left_ = 0;
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("rendering takes more than {} steps", max_steps_));
  }
  steps_left_ -= count;
  return {};
}

Status Budget::SpendBytes(std::uint64_t count) {
  if (count > bytes_left_) {
    bytes_left_ = 0;
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("rendering makes more than {} bytes of values", kMaxRenderBytes));
  }
  bytes_left_ -= count;
  return {};
}

}  // namespace fallow::engine::jinja
