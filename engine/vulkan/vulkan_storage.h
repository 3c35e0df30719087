// Tensors, matrices and caches in device memory.
//
// Rows of a tensor are padded to whole blocks of 32 columns and their count to whole eights; the
// padding is +0 and no kernel writes anything else there, so kernels need no care at the edges.
#pragma once

#include <vector>

#include "engine/backend.h"
#include "engine/vulkan/memory_pool.h"

namespace fallow::engine {

// A driver in wide use ends an invocation silently after 65,535 loop iterations, all its loops
// together.
inline constexpr std::uint32_t kMaxLoopIterations = 60000;
// Of a tensor or matrix. A norm makes 17/8 iterations for each 32 columns, a product 9/8.
inline constexpr std::uint32_t kMaxColumns = 1u << 19;
static_assert(kMaxColumns / 32 * 17 / 8 <= kMaxLoopIterations);
// Outputs of a matrix: three of them side by side, in tiles of 32, fit a grid's 65,535 workgroups.
inline constexpr std::uint32_t kMaxOutputs = 1u << 19;
static_assert(kMaxOutputs / 32 * 3 <= 65535);
inline constexpr std::uint32_t kMaxHeadSize = 256;

inline constexpr std::uint32_t RoundUp(std::uint32_t value, std::uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

class VulkanTensor final : public Tensor {
 public:
  VulkanTensor(std::uint32_t rows, std::uint32_t columns, MemoryRange memory)
      : rows_(rows), columns_(columns), memory_(std::move(memory)) {}

  static std::uint64_t Bytes(std::uint32_t rows, std::uint32_t columns) {
    return std::uint64_t{RoundUp(rows, 8)} * RoundUp(columns, kQuantBlock) * sizeof(float);
  }

  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }
  std::uint32_t stride() const { return RoundUp(columns_, kQuantBlock); }
  std::uint32_t padded_rows() const { return RoundUp(rows_, 8); }
  std::uint32_t blocks() const { return stride() / kQuantBlock; }
  // Scales of a row; whole chunks of eight blocks.
  std::uint32_t scale_stride() const { return RoundUp(blocks(), 8); }
  const MemoryRange& memory() const { return memory_; }

  // The int8 form: made when the tensor is first an int8 product's input. From then on the
  // operators that write the tensor write it too. It is current for the first
  // `quantised_rows` rows, and only in the step of that number.
  MemoryRange quantised;
  MemoryRange scales;
  std::uint32_t quantised_rows = 0;
  std::uint64_t quantised_step = 0;

 private:
  std::uint32_t rows_;
  std::uint32_t columns_;
  MemoryRange memory_;
};

// The rows of a matrix that one binding holds.
struct MatrixPart {
  std::uint32_t first_row = 0;
  std::uint32_t rows = 0;
  MemoryRange memory;
};

class VulkanMatrix final : public Matrix {
 public:
  VulkanMatrix(WeightType type, std::uint32_t rows, std::uint32_t columns)
      : type_(type), rows_(rows), columns_(columns) {}

  WeightType type() const override { return type_; }
  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }

  std::vector<MatrixPart> parts;

 private:
  WeightType type_;
  std::uint32_t rows_;
  std::uint32_t columns_;
};

// shaders/store_kv.comp has the layouts.
class VulkanKvCache final : public KvCache {
 public:
  explicit VulkanKvCache(const KvShape& shape) : shape_(shape) {}

  const KvShape& shape() const { return shape_; }
  std::uint32_t blocks() const { return RoundUp(shape_.head_size, kQuantBlock) / kQuantBlock; }
  std::uint64_t WordBytes() const { return ScaleBytes() * 8; }
  std::uint64_t ScaleBytes() const {
    return std::uint64_t{shape_.page_count} * shape_.kv_head_count * blocks() * kPagePositions *
           sizeof(float);
  }

  MemoryRange keys;
  MemoryRange values;
  MemoryRange key_scales;
  MemoryRange value_scales;

 private:
  KvShape shape_;
};

}  // namespace fallow::engine
