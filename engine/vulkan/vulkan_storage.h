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
// Of a tensor or matrix. A norm makes up to 26/8 iterations for each 32 columns, a product 9/8.
inline constexpr std::uint32_t kMaxColumns = 1u << 19;
static_assert(kMaxColumns / 32 * 26 / 8 <= kMaxLoopIterations);
// Workgroups along an axis of a grid, as every device has them.
inline constexpr std::uint32_t kMaxAxisWorkgroups = 65535;
// Outputs of a matrix: three of them side by side, in tiles of 32, fit an axis.
inline constexpr std::uint32_t kMaxOutputs = 1u << 19;
static_assert(kMaxOutputs / 32 * 3 <= kMaxAxisWorkgroups);
inline constexpr std::uint32_t kMaxHeadSize = 256;
// Columns of a chunk, and of an int8 block of the form per 256.
inline constexpr std::uint32_t kChunkColumns = 256;

inline constexpr std::uint32_t RoundUp(std::uint32_t value, std::uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// One int8 form of a tensor, beside its values (shaders/include/int8_form.glsl has the layout).
struct Int8Storage {
  MemoryRange words;
  MemoryRange numbers;
  std::uint32_t word_stride = 0;    // words of a row
  std::uint32_t number_stride = 0;  // floats of a row
  // Set when a product first reads the form: from then on operators that write the tensor may write
  // the form with it. It is current for the first `current_rows` rows, and only in the step of that
  // number.
  bool is_read = false;
  std::uint32_t current_rows = 0;
  std::uint64_t current_step = 0;

  explicit operator bool() const { return static_cast<bool>(words); }
};

// What a tensor's allocations hold, in bytes. 0: it has no such form.
struct TensorLayout {
  TensorLayout(std::uint32_t rows, std::uint32_t columns, Int8Forms forms)
      : stride(RoundUp(columns, kQuantBlock)), padded_rows(RoundUp(rows, 8)) {
    if (forms.per_32 && columns % kQuantBlock == 0)
      number_stride_per_32 = 2 * RoundUp(columns / kQuantBlock, 8);
    if (forms.per_256 && columns % kChunkColumns == 0)
      number_stride_per_256 = columns / kChunkColumns * (1 + kChunkColumns / 16);
  }

  std::uint64_t value_bytes() const { return std::uint64_t{padded_rows} * stride * sizeof(float); }
  std::uint64_t word_bytes() const { return std::uint64_t{padded_rows} * stride; }
  std::uint64_t number_bytes(std::uint32_t number_stride) const {
    return std::uint64_t{padded_rows} * number_stride * sizeof(float);
  }

  std::uint32_t stride;  // columns padded to whole blocks
  std::uint32_t padded_rows;
  std::uint32_t number_stride_per_32 = 0;   // scales and sums of whole chunks of eight blocks
  std::uint32_t number_stride_per_256 = 0;  // for each chunk a scale and 16 sums
};

class VulkanTensor final : public Tensor {
 public:
  VulkanTensor(std::uint32_t rows, std::uint32_t columns, MemoryRange memory, Int8Storage per_32,
               Int8Storage per_256)
      : rows_(rows),
        columns_(columns),
        memory_(std::move(memory)),
        per_32_(std::move(per_32)),
        per_256_(std::move(per_256)) {}

  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }
  std::uint32_t stride() const { return RoundUp(columns_, kQuantBlock); }
  std::uint32_t blocks() const { return stride() / kQuantBlock; }
  const MemoryRange& memory() const { return memory_; }

  // Of an int8 form; empty where the tensor has no room for it.
  Int8Storage& form(ActivationForm form) {
    return form == ActivationForm::kInt8Per32 ? per_32_ : per_256_;
  }

 private:
  std::uint32_t rows_;
  std::uint32_t columns_;
  MemoryRange memory_;
  Int8Storage per_32_;
  Int8Storage per_256_;
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
