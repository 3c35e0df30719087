// A Budget is what one rendering may still spend: steps of work and bytes of values.
//
// It bounds a rendering whatever the template does, because everything that takes time or memory
// spends here first. Threading: belongs to one rendering.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/chat/limits.h"

namespace fallow::engine::jinja {

class Budget {
 public:
  explicit Budget(std::uint64_t max_steps = kMaxRenderSteps) : max_steps_(max_steps) {}

  // One expression, statement or element is a step.
  Status SpendSteps(std::uint64_t count);
  // Reading `count` bytes of text.
  Status SpendReading(std::uint64_t count) { return SpendSteps(1 + count / kBytesPerStep); }
  // Making values of `count` bytes.
  Status SpendBytes(std::uint64_t count);

 private:
  std::uint64_t max_steps_;
  std::uint64_t steps_left_ = max_steps_;
  std::uint64_t bytes_left_ = kMaxRenderBytes;
};

}  // namespace fallow::engine::jinja
