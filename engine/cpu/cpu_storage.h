// What the CPU backend's tensors, matrices and caches are in memory.
#pragma once

#include <cstdint>

#include "engine/backend.h"
#include "engine/cpu/aligned_array.h"
#include "engine/cpu/kernel_set.h"
#include "engine/cpu/memory_budget.h"

namespace fallow::engine {

class CpuTensor final : public Tensor {
 public:
  // With room for those of `forms` into whose blocks the columns split.
  CpuTensor(MemoryBudget& budget, std::uint32_t rows, std::uint32_t columns, Int8Forms forms);
  static std::uint64_t BytesFor(std::uint32_t rows, std::uint32_t columns, Int8Forms forms);

  bool allocated() const;
  std::uint32_t rows() const override { return rows_; }
  std::uint32_t columns() const override { return columns_; }
  float* Row(std::uint32_t r) { return values.data() + std::size_t{r} * columns_; }
  const float* Row(std::uint32_t r) const { return values.data() + std::size_t{r} * columns_; }
  RowsView View() const { return {values.data(), per_32.data(), per_256.data()}; }
  bool HasForm(ActivationForm form) const;
  // Rows whose int8 form will be current at this point of the recording.
  std::uint32_t& CurrentRows(ActivationForm form) {
    return form == ActivationForm::kInt8Per256 ? current_rows_per_256_ : current_rows_per_32_;
  }
  // The values change: no int8 form is current any more.
  void ForgetForms() { current_rows_per_32_ = current_rows_per_256_ = 0; }

  AlignedArray<float> values;
  AlignedArray<Int8Block32> per_32;
  AlignedArray<Int8Block256> per_256;

 private:
  MemoryShare share_;
  std::uint32_t rows_;
  std::uint32_t columns_;
  Int8Forms forms_;  // there is room for
  std::uint32_t current_rows_per_32_ = 0;
  std::uint32_t current_rows_per_256_ = 0;
};

class CpuMatrix final : public Matrix {
 public:
  CpuMatrix(MemoryBudget& budget, WeightType type, std::uint32_t rows, std::uint32_t columns,
            WeightLayout layout);
  static std::uint64_t BytesFor(WeightType type, std::uint32_t rows, std::uint32_t columns,
                                WeightLayout layout) {
    return PlaneBytes(FormatOf(type), layout, rows, columns);
  }

  bool allocated() const { return memory_.data() != nullptr; }
  WeightType type() const override { return view_.format->type; }
  std::uint32_t rows() const override { return view_.rows; }
  std::uint32_t columns() const override { return view_.columns; }
  std::uint64_t bytes() const { return memory_.size(); }
  const WeightsView& View() const { return view_; }

  // Takes all rows as GGUF stores them. kInvalidArgument, naming the place, on Inf or NaN.
  Status Fill(ByteView data) { return FillRows({0, rows()}, data); }
  // Takes some of them, of the same data. Different rows may be filled at the same time.
  Status FillRows(Range rows, ByteView data);
  // Row `row`, widened to fp32 and snapped.
  void Widen(std::uint32_t row, float* out) const;

 private:
  Status FillBlocks(std::uint32_t row, const std::uint8_t* data);
  Status FillFloats(std::uint32_t row, const std::uint8_t* data);
  // Of a type as wide as Bits. `infinity`: the bits of one; magnitudes below `smallest` become 0.
  template <class Bits>
  Status FillFloatsAs(std::uint32_t row, const std::uint8_t* data, Bits infinity, Bits smallest);

  MemoryShare share_;
  AlignedArray<std::uint8_t> memory_;
  WeightsView view_;
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
