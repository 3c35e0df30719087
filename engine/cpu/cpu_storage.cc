#include "engine/cpu/cpu_storage.h"

#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

std::uint32_t BlockCount(std::uint32_t values) {
  return (values + kQuantBlock - 1) / kQuantBlock;
}
std::uint64_t KvPlaces(const KvShape& shape) {
  return std::uint64_t{shape.page_count} * shape.kv_head_count * kPagePositions;
}

// A form that was asked for, where the columns are whole blocks.
Int8Forms FormsOf(std::uint32_t columns, Int8Forms asked) {
  return {.per_32 = asked.per_32 && columns % 32 == 0,
          .per_256 = asked.per_256 && columns % 256 == 0};
}

template <class T>
T Load(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::unexpected<Error> NotFinite(std::uint32_t row, std::uint32_t column) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("row {}, column {}: the weight is not a finite number", row, column));
}

std::unexpected<Error> NotFiniteBlock(std::uint32_t row, std::uint32_t column,
                                      const WeightFormat& format) {
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("row {}, column {}: the scale {}of a block of {} weights is not a finite "
                  "number",
                  row, column, format.has_minimum ? "or minimum " : "", format.block_values));
}

// A block's weights as fp32.
void WidenBlock(const WeightFormat& format, const WeightBlock& block, float* out) {
  const float scale = ExactHalf(block.scale);
  const float minimum = ExactHalf(block.minimum);
  for (std::uint32_t i = 0; i < format.block_values; ++i) {
    const std::int32_t q = block.q[i] - format.zero;
    if (format.sub_block_values == 0) {
      out[i] = ExactFloat(q) * scale;
      if (format.has_minimum) out[i] = out[i] + minimum;
    } else {
      const std::uint32_t s = i / format.sub_block_values;
      out[i] = ExactFloat(block.sub_scales[s] * q) * scale;
      if (format.has_minimum) out[i] = out[i] - ExactFloat(block.sub_minimums[s]) * minimum;
    }
  }
}

float WidenFloat(const WeightsView& weights, std::size_t place) {
  const std::uint32_t bytes = weights.format->block_bytes;
  const std::uint8_t* at = weights.values + place * bytes;
  if (bytes == 4) return Load<float>(at);
  const std::uint32_t bits = Load<std::uint16_t>(at);
  return weights.format->type == WeightType::kF16 ? ExactHalf(bits)
                                                  : std::bit_cast<float>(bits << 16);
}

}  // namespace

CpuTensor::CpuTensor(MemoryBudget& budget, std::uint32_t rows, std::uint32_t columns,
                     Int8Forms forms)
    : values(budget, std::size_t{rows} * columns),
      share_(budget, BytesFor(rows, columns, forms)),
      rows_(rows),
      columns_(columns),
      forms_(FormsOf(columns, forms)) {
  const std::size_t count = std::size_t{rows} * columns;
  if (forms_.per_32) per_32 = AlignedArray<Int8Block32>(budget, count / 32);
  if (forms_.per_256) per_256 = AlignedArray<Int8Block256>(budget, count / 256);
}

std::uint64_t CpuTensor::BytesFor(std::uint32_t rows, std::uint32_t columns, Int8Forms forms) {
  const std::uint64_t count = std::uint64_t{rows} * columns;
  const Int8Forms given = FormsOf(columns, forms);
  return count * sizeof(float) + (given.per_32 ? count / 32 * sizeof(Int8Block32) : 0) +
         (given.per_256 ? count / 256 * sizeof(Int8Block256) : 0);
}

bool CpuTensor::allocated() const {
  return values.data() != nullptr && (!forms_.per_32 || per_32.data() != nullptr) &&
         (!forms_.per_256 || per_256.data() != nullptr);
}

bool CpuTensor::HasForm(ActivationForm form) const {
  return form == ActivationForm::kFloat ||
         (form == ActivationForm::kInt8Per32 ? forms_.per_32 : forms_.per_256);
}

CpuMatrix::CpuMatrix(MemoryBudget& budget, WeightType type, std::uint32_t rows,
                     std::uint32_t columns, WeightLayout layout)
    : share_(budget, BytesFor(type, rows, columns, layout)),
      memory_(budget, BytesFor(type, rows, columns, layout)),
      view_(PlanesIn(memory_.data(), FormatOf(type), layout, rows, columns)) {}

Status CpuMatrix::FillRows(Range rows, ByteView data) {
  const std::uint64_t row_bytes = WeightRowBytes(type(), columns());
  FALLOW_CHECK(data.size() == this->rows() * row_bytes && rows.end <= this->rows());
  for (std::uint32_t row = rows.begin; row < rows.end; ++row) {
    const std::uint8_t* row_data = data.data() + row * row_bytes;
    FALLOW_RETURN_IF_ERROR(view_.format->is_integer() ? FillBlocks(row, row_data)
                                                      : FillFloats(row, row_data));
  }
  return {};
}

Status CpuMatrix::FillBlocks(std::uint32_t row, const std::uint8_t* data) {
  const WeightFormat& format = *view_.format;
  WeightBlock content;
  for (std::uint32_t block = 0; block < view_.block_count(); ++block) {
    UnpackWeightBlock(format, data + std::size_t{block} * format.block_bytes, content);
    if (!content.IsFinite()) return NotFiniteBlock(row, block * format.block_values, format);
    PutBlock(view_, row, block, content);
  }
  return {};
}

Status CpuMatrix::FillFloats(std::uint32_t row, const std::uint8_t* data) {
  switch (type()) {
    case WeightType::kF16:
      return FillFloatsAs<std::uint16_t>(row, data, 0x7C00, 0);
    case WeightType::kBF16:
      return FillFloatsAs<std::uint16_t>(row, data, EXACT_INF_BITS >> 16,
                                         EXACT_MIN_WEIGHT_BITS >> 16);
    default:
      return FillFloatsAs<std::uint32_t>(row, data, EXACT_INF_BITS, EXACT_MIN_WEIGHT_BITS);
  }
}

template <class Bits>
Status CpuMatrix::FillFloatsAs(std::uint32_t row, const std::uint8_t* data, Bits infinity,
                               Bits smallest) {
  constexpr Bits kMagnitude = static_cast<Bits>(~Bits{0}) >> 1;
  auto* const out = reinterpret_cast<Bits*>(view_.values);
  std::size_t place = FloatPlace(view_, row, 0);
  const std::size_t step = FloatPlace(view_, row, 1) - place;
  for (std::uint32_t column = 0; column < columns(); ++column, place += step) {
    const auto bits = Load<Bits>(data + column * sizeof(Bits));
    if ((bits & infinity) == infinity) return NotFinite(row, column);
    out[place] = (bits & kMagnitude) < smallest ? Bits{0} : bits;
  }
  return {};
}

void CpuMatrix::Widen(std::uint32_t row, float* out) const {
  const WeightFormat& format = *view_.format;
  if (format.is_integer()) {
    WeightBlock content;
    for (std::uint32_t block = 0; block < view_.block_count(); ++block) {
      GetBlock(view_, row, block, content);
      WidenBlock(format, content, out + std::size_t{block} * format.block_values);
    }
  } else {
    for (std::uint32_t column = 0; column < columns(); ++column) {
      out[column] = WidenFloat(view_, FloatPlace(view_, row, column));
    }
  }
  for (std::uint32_t column = 0; column < columns(); ++column) out[column] = ExactSnap(out[column]);
}

CpuKvCache::CpuKvCache(MemoryBudget& budget, const KvShape& shape)
    : share_(budget, BytesFor(shape)),
      shape_(shape),
      keys_(budget, KvPlaces(shape) * BlockCount(shape.head_size) * kQuantBlock),
      values_(budget, keys_.size()),
      key_scales_(budget, KvPlaces(shape) * BlockCount(shape.head_size)),
      value_scales_(budget, key_scales_.size()) {}

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
