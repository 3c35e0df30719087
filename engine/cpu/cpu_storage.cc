#include "engine/cpu/cpu_storage.h"

#include <fmt/format.h>

#include "base/check.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

std::uint32_t BlockCount(std::uint32_t values) {
  return (values + kQuantBlock - 1) / kQuantBlock;
}
std::uint64_t RoundUp(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Interleaved layouts pad the last group of rows with zeros; row-major ones need not, but may.
std::uint64_t PaddedRows(std::uint32_t rows) {
  return RoundUp(rows, kRowGroup);
}

std::uint64_t ValueBytes(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return 4;
    case WeightType::kF16:
      return 2;
    default:
    case WeightType::kQ8_0:
      return 1;
  }
  FALLOW_UNREACHABLE();
}

std::uint64_t KvPlaces(const KvShape& shape) {
  return std::uint64_t{shape.page_count} * shape.kv_head_count * kPagePositions;
}

template <class T>
T Load(ByteView data, std::size_t offset) {
  T value;
  std::memcpy(&value, data.data() + offset, sizeof value);
  return value;
}

bool FiniteHalf(std::uint16_t bits) {
  return (bits & 0x7C00u) != 0x7C00u;
}
bool FiniteFloat(std::uint32_t bits) {
  return (bits & 0x7F800000u) != 0x7F800000u;
}

std::unexpected<Error> NotFinite(std::uint32_t row, std::uint32_t column) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("row {}, column {}: the weight is not a finite number", row, column));
}

}  // namespace

CpuTensor::CpuTensor(MemoryBudget& budget, std::uint32_t rows, std::uint32_t columns)
    : values(std::size_t{rows} * columns),
      share_(budget, BytesFor(rows, columns)),
      rows_(rows),
      columns_(columns) {
  if (columns % kQuantBlock != 0) return;
  quants = AlignedArray<std::int8_t>(std::size_t{rows} * columns);
  scales = AlignedArray<float>(std::size_t{rows} * columns / kQuantBlock);
  sums = AlignedArray<std::int32_t>(std::size_t{rows} * columns / kQuantBlock);
}

std::uint64_t CpuTensor::BytesFor(std::uint32_t rows, std::uint32_t columns) {
  const std::uint64_t count = std::uint64_t{rows} * columns;
  return count * 4 + (columns % kQuantBlock == 0 ? count + count / kQuantBlock * 8 : 0);
}

bool CpuTensor::allocated() const {
  return values.data() != nullptr &&
         (columns_ % kQuantBlock != 0 ||
          (quants.data() != nullptr && scales.data() != nullptr && sums.data() != nullptr));
}

CpuMatrix::CpuMatrix(MemoryBudget& budget, WeightType type, std::uint32_t rows,
                     std::uint32_t columns, WeightLayout layout)
    : share_(budget, BytesFor(type, rows, columns)),
      type_(type),
      rows_(rows),
      columns_(columns),
      layout_(layout),
      values_(PaddedRows(rows) * columns * ValueBytes(type)) {
  if (type == WeightType::kQ8_0) {
    scales_ = AlignedArray<float>(PaddedRows(rows) * columns / kQuantBlock);
  }
}

std::uint64_t CpuMatrix::BytesFor(WeightType type, std::uint32_t rows, std::uint32_t columns) {
  const std::uint64_t count = PaddedRows(rows) * columns;
  return count * ValueBytes(type) + (type == WeightType::kQ8_0 ? count / kQuantBlock * 4 : 0);
}

bool CpuMatrix::allocated() const {
  return values_.data() != nullptr && (type_ != WeightType::kQ8_0 || scales_.data() != nullptr);
}

std::size_t CpuMatrix::ValuePlace(std::uint32_t row, std::uint32_t column) const {
  if (layout_ == WeightLayout::kRows) return std::size_t{row} * columns_ + column;
  const std::size_t group = row / kRowGroup;
  const std::size_t lane = row % kRowGroup;
  if (type_ != WeightType::kQ8_0) return (group * columns_ + column) * kRowGroup + lane;
  return (group * columns_ + column / 4 * 4) * kRowGroup + lane * 4 + column % 4;
}

std::size_t CpuMatrix::ScalePlace(std::uint32_t row, std::uint32_t block) const {
  const std::size_t blocks = columns_ / kQuantBlock;
  if (layout_ == WeightLayout::kRows) return row * blocks + block;
  return (row / kRowGroup * blocks + block) * kRowGroup + row % kRowGroup;
}

Status CpuMatrix::Fill(ByteView data) {
  FALLOW_CHECK(data.size() == rows_ * WeightRowBytes(type_, columns_));
  return type_ == WeightType::kQ8_0 ? FillQ8(data) : FillFloats(data);
}

Status CpuMatrix::FillQ8(ByteView data) {
  constexpr std::size_t kBlockBytes = 34;
  const std::uint8_t offset = layout_ == WeightLayout::kInterleaved ? 128 : 0;
  std::size_t at = 0;
  for (std::uint32_t row = 0; row < rows_; ++row) {
    for (std::uint32_t block = 0; block < columns_ / kQuantBlock; ++block, at += kBlockBytes) {
      const auto scale = Load<std::uint16_t>(data, at);
      if (!FiniteHalf(scale)) return NotFinite(row, block * kQuantBlock);
      scales_[ScalePlace(row, block)] = ExactHalf(scale);
      for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
        values_[ValuePlace(row, block * kQuantBlock + i)] =
            static_cast<std::uint8_t>(data[at + 2 + i] + offset);
      }
    }
  }
  return {};
}

Status CpuMatrix::FillFloats(ByteView data) {
  std::size_t index = 0;
  for (std::uint32_t row = 0; row < rows_; ++row) {
    for (std::uint32_t column = 0; column < columns_; ++column, ++index) {
      const std::size_t place = ValuePlace(row, column);
      if (type_ == WeightType::kF16) {
        const auto bits = Load<std::uint16_t>(data, index * 2);
        if (!FiniteHalf(bits)) return NotFinite(row, column);
        std::memcpy(values_.data() + place * 2, &bits, 2);
      } else {
        const auto bits = Load<std::uint32_t>(data, index * 4);
        if (!FiniteFloat(bits)) return NotFinite(row, column);
        const float weight = ExactWeight(std::bit_cast<float>(bits));
        std::memcpy(values_.data() + place * 4, &weight, 4);
      }
    }
  }
  return {};
}

void CpuMatrix::Widen(std::uint32_t row, float* out) const {
  const int offset = layout_ == WeightLayout::kInterleaved ? 128 : 0;
  for (std::uint32_t column = 0; column < columns_; ++column) {
    const std::size_t place = ValuePlace(row, column);
    float value = 0;
    if (type_ == WeightType::kQ8_0) {
      const auto quant = static_cast<std::int8_t>(values_[place] - offset);
      value = ExactFloat(quant) * scales_[ScalePlace(row, column / kQuantBlock)];
    } else if (type_ == WeightType::kF16) {
      std::uint16_t bits;
      std::memcpy(&bits, values_.data() + place * 2, 2);
      value = ExactHalf(bits);
    } else {
      std::memcpy(&value, values_.data() + place * 4, 4);
    }
    out[column] = ExactSnap(value);
  }
}

CpuKvCache::CpuKvCache(MemoryBudget& budget, const KvShape& shape)
    : share_(budget, BytesFor(shape)),
      shape_(shape),
      keys_(KvPlaces(shape) * BlockCount(shape.head_size) * kQuantBlock),
      values_(keys_.size()),
      key_scales_(KvPlaces(shape) * BlockCount(shape.head_size)),
      value_scales_(key_scales_.size()) {}

std::uint64_t CpuKvCache::BytesFor(const KvShape& shape) {
  return KvPlaces(shape) * BlockCount(shape.head_size) * 2 * (kQuantBlock + 4);
}

bool CpuKvCache::allocated() const {
  return keys_.data() != nullptr && values_.data() != nullptr && key_scales_.data() != nullptr &&
         value_scales_.data() != nullptr;
}

KvCacheView CpuKvCache::View() {
  return {.base = {keys_.data(), key_scales_.data(), values_.data(), value_scales_.data()},
          .kv_head_count = shape_.kv_head_count,
          .head_size = shape_.head_size,
          .block_count = BlockCount(shape_.head_size)};
}

}  // namespace fallow::engine
