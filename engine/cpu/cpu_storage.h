// What the CPU backend's tensors, matrices and caches are in memory.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/backend.h"
#include "engine/cpu/aligned_array.h"
#include "engine/cpu/kernel_set.h"

namespace fallow::engine {

// Counts allocated bytes against a cap. Storage returns its share when it goes.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  std::uint64_t limit_bytes() const { return limit_bytes_; }
  bool Take(std::uint64_t bytes) {
    if (bytes > limit_bytes_ - used_bytes_) return false;
    used_bytes_ += bytes;
    return true;
  }
  void Return(std::uint64_t bytes) { used_bytes_ -= bytes; }

 private:
  std::uint64_t limit_bytes_;
  std::uint64_t used_bytes_ = 0;
};

class MemoryShare {
 public:
  MemoryShare(MemoryBudget& budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
  ~MemoryShare() { budget_.Return(bytes_); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

 private:
  MemoryBudget& budget_;
  std::uint64_t bytes_;
};

class CpuTensor final : public Tensor {
 public:
  // With room for the int8 form where the columns split into blocks.
  CpuTensor(MemoryBudget& budget, std::uint32_t rows, std::uint32_t columns);
  static std::uint64_t BytesFor(std::uint32_t rows, std::uint32_t columns);

  bool allocated() const;
  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }
  float* Row(std::uint32_t r) { return values.data() + std::size_t{r} * columns_; }
  const float* Row(std::uint32_t r) const { return values.data() + std::size_t{r} * columns_; }
  RowsView View() const { return {values.data(), quants.data(), scales.data(), sums.data()}; }

  AlignedArray<float> values;
  AlignedArray<std::int8_t> quants;
  AlignedArray<float> scales;
  AlignedArray<std::int32_t> sums;
  // Rows whose int8 form will be current at this point of the recording.
  std::uint32_t quantised_rows = 0;

 private:
  MemoryShare share_;
  std::uint32_t rows_;
  std::uint32_t columns_;
};

class CpuMatrix final : public Matrix {
 public:
  CpuMatrix(MemoryBudget& budget, WeightType type, std::uint32_t rows, std::uint32_t columns,
            WeightLayout layout);
  static std::uint64_t BytesFor(WeightType type, std::uint32_t rows, std::uint32_t columns);

  bool allocated() const;
  WeightType type() const override { return type_; }
  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }
  std::uint64_t value_bytes() const { return values_.size(); }
  WeightsView View() const { return {type_, rows_, columns_, values_.data(), scales_.data()}; }

  // Takes rows as GGUF stores them. kInvalidArgument on Inf or NaN.
  Status Fill(ByteView data);
  // Row `row`, widened to fp32 and snapped.
  void Widen(std::uint32_t row, float* out) const;

 private:
  std::size_t ValuePlace(std::uint32_t row, std::uint32_t column) const;
  std::size_t ScalePlace(std::uint32_t row, std::uint32_t block) const;
  Status FillQ8(ByteView data);
  Status FillFloats(ByteView data);

  MemoryShare share_;
  WeightType type_;
  std::uint32_t rows_;
  std::uint32_t columns_;
  WeightLayout layout_;
  AlignedArray<std::uint8_t> values_;  // of the type's size; interleaved Q8_0 as value + 128
  AlignedArray<float> scales_;
};

class CpuKvCache final : public KvCache {
 public:
  CpuKvCache(MemoryBudget& budget, const KvShape& shape);
  static std::uint64_t BytesFor(const KvShape& shape);

  bool allocated() const;
  const KvShape& shape() const { return shape_; }
  KvCacheView View();

 private:
  MemoryShare share_;
  KvShape shape_;
  AlignedArray<std::int8_t> keys_;
  AlignedArray<std::int8_t> values_;
  AlignedArray<float> key_scales_;
  AlignedArray<float> value_scales_;
};

}  // namespace fallow::engine
