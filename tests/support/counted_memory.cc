#include "tests/support/counted_memory.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace fallow {
namespace {

std::atomic<std::size_t> bytes_out = 0;
std::atomic<std::size_t> peak = 0;

void* Take(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t out = bytes_out += malloc_usable_size(block);
  std::size_t before = peak;
  while (before < out && !peak.compare_exchange_weak(before, out)) {
  }
  return block;
}

void GiveBack(void* block) {
  if (block == nullptr) return;
  bytes_out -= malloc_usable_size(block);
  std::free(block);
}

std::size_t RoundedUp(std::size_t size, std::size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

std::size_t CountedBytes() {
  return bytes_out;
}
std::size_t CountedPeakBytes() {
  return peak;
}
void ResetCountedPeak() {
  peak = bytes_out.load();
}

}  // namespace fallow

void* operator new(std::size_t size) {
  return fallow::Take(std::malloc(size == 0 ? 1 : size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto bytes = static_cast<std::size_t>(alignment);
  return fallow::Take(std::aligned_alloc(bytes, fallow::RoundedUp(size == 0 ? 1 : size, bytes)));
}
void operator delete(void* block) noexcept {
  fallow::GiveBack(block);
}
void operator delete(void* block, std::size_t) noexcept {
  fallow::GiveBack(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  fallow::GiveBack(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  fallow::GiveBack(block);
}
