#include "engine/vulkan/range_allocator.h"

#include "base/check.h"

namespace fallow::engine {

RangeAllocator::RangeAllocator(std::uint64_t size, std::uint64_t alignment)
    : alignment_(alignment) {
  FALLOW_CHECK(alignment > 0 && (alignment & (alignment - 1)) == 0);
  free_[0] = size & ~(alignment - 1);
}

std::optional<std::uint64_t> RangeAllocator::Allocate(std::uint64_t size) {
  FALLOW_CHECK(size > 0);
  const std::uint64_t rounded = (size + alignment_ - 1) & ~(alignment_ - 1);
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [offset, available] = *it;
    if (available < rounded) continue;
    free_.erase(it);
    if (available > rounded) free_[offset + rounded] = available - rounded;
    used_[offset] = rounded;
    return offset;
  }
  return std::nullopt;
}

void RangeAllocator::Free(std::uint64_t offset) {
  const auto used = used_.find(offset);
  FALLOW_CHECK(used != used_.end());
  std::uint64_t begin = offset;
  std::uint64_t size = used->second;
  used_.erase(used);
  auto after = free_.lower_bound(begin);
  if (after != free_.end() && after->first == begin + size) {
    size += after->second;
    after = free_.erase(after);
  }
  if (after != free_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      begin = before->first;
      size += before->second;
      free_.erase(before);
    }
  }
  free_[begin] = size;
}

}  // namespace fallow::engine
