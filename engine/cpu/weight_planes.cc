#include "engine/cpu/weight_planes.h"

#include <cstring>

#include "base/check.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kQuadBytes = kRowGroup * 4;
constexpr std::uint32_t kRunValues = 32;  // columns whose quads lie together
constexpr std::uint32_t kRunQuads = kRunValues / 4;

struct PlaneSizes {
  std::uint64_t values, high_bits, sub_scales, sub_minimums, scales, minimums;
};

PlaneSizes SizesOf(const WeightFormat& format, WeightLayout layout, std::uint32_t rows,
                   std::uint32_t columns) {
  // Both layouts pad the last group, which only the interleaved one needs.
  const std::uint64_t row_count = (std::uint64_t{rows} + kRowGroup - 1) / kRowGroup * kRowGroup;
  const std::uint64_t count = row_count * columns;
  if (!format.is_integer()) return {.values = count * format.block_bytes};
  const std::uint64_t blocks = count / format.block_values;
  const std::uint64_t sub_blocks = blocks * format.sub_block_count();
  const bool packed = layout == WeightLayout::kInterleaved && format.bits < 8;
  return {.values = packed ? count / 2 : count,
          .high_bits = packed ? count * (format.bits - 4) / 8 : 0,
          .sub_scales = sub_blocks,
          .sub_minimums = format.has_minimum ? sub_blocks : 0,
          .scales = blocks * 2,
          .minimums = format.has_minimum ? blocks * 2 : 0};
}

// The same byte four times.
constexpr std::uint32_t FourTimes(std::uint32_t byte) {
  return byte * 0x01010101u;
}

std::uint32_t LoadWord(const std::uint8_t* bytes) {
  std::uint32_t word;
  std::memcpy(&word, bytes, 4);
  return word;
}
void StoreWord(std::uint8_t* bytes, std::uint32_t word) {
  std::memcpy(bytes, &word, 4);
}

// The place of a row's 32 columns in interleaved planes.
struct RunPlace {
  std::uint8_t* values;
  std::uint8_t* high_bits;
};
RunPlace PlaceOfRun(const WeightsView& w, std::uint32_t row, std::uint32_t run) {
  const std::size_t index = std::size_t{row / kRowGroup} * (w.columns / kRunValues) + run;
  const std::size_t in_quad = row % kRowGroup * 4;
  const std::size_t value_vectors = w.format->bits == 8 ? kRunQuads : kRunQuads / 2;
  const std::size_t high_vectors = w.format->bits == 8 ? 0 : w.format->bits - 4;
  return {w.values + index * value_vectors * kQuadBytes + in_quad,
          w.high_bits + index * high_vectors * kQuadBytes + in_quad};
}

// One row's part of a run: a word of four values for each quad.
void PutRun(const WeightsView& w, std::uint32_t row, std::uint32_t run, const std::uint8_t* q) {
  const RunPlace place = PlaceOfRun(w, row, run);
  std::uint32_t quads[kRunQuads];
  std::memcpy(quads, q, kRunValues);
  if (w.format->bits == 8) {
    for (std::uint32_t k = 0; k < kRunQuads; ++k)
      StoreWord(place.values + k * kQuadBytes, quads[k]);
    return;
  }
  for (std::uint32_t v = 0; v < kRunQuads / 2; ++v) {
    StoreWord(place.values + v * kQuadBytes,
              (quads[2 * v] & FourTimes(15)) | (quads[2 * v + 1] & FourTimes(15)) << 4);
  }
  const std::uint32_t high = w.format->bits - 4;
  for (std::uint32_t v = 0; v < high; ++v) {
    const std::uint32_t count = 8 / high;
    std::uint32_t word = 0;
    for (std::uint32_t k = 0; k < count; ++k) {
      word |= (quads[v * count + k] >> 4 & FourTimes((1u << high) - 1)) << k * high;
    }
    StoreWord(place.high_bits + v * kQuadBytes, word);
  }
}

void GetRun(const WeightsView& w, std::uint32_t row, std::uint32_t run, std::uint8_t* q) {
  const RunPlace place = PlaceOfRun(w, row, run);
  const std::uint32_t high = w.format->bits == 8 ? 0 : w.format->bits - 4;
  for (std::uint32_t k = 0; k < kRunQuads; ++k) {
    std::uint32_t quad = 0;
    if (w.format->bits == 8) {
      quad = LoadWord(place.values + k * kQuadBytes);
    } else {
      quad = LoadWord(place.values + k / 2 * kQuadBytes) >> (k % 2 * 4) & FourTimes(15);
    }
    if (high != 0) {
      const std::uint32_t count = 8 / high;
      const std::uint32_t word = LoadWord(place.high_bits + k / count * kQuadBytes);
      quad |= (word >> k % count * high & FourTimes((1u << high) - 1)) << 4;
    }
    std::memcpy(q + k * 4, &quad, 4);
  }
}

// Where a block's scale lies among the scales, and its first sub-scale and how far the next is.
struct ScalePlace {
  std::size_t scale;
  std::size_t sub_scale;
  std::size_t sub_step;
};
ScalePlace PlaceOfScales(const WeightsView& w, std::uint32_t row, std::uint32_t block) {
  const std::size_t subs = w.format->sub_block_count();
  if (w.layout == WeightLayout::kRows) {
    const std::size_t index = std::size_t{row} * w.block_count() + block;
    return {index, index * subs, 1};
  }
  const std::size_t index = std::size_t{row / kRowGroup} * w.block_count() + block;
  const std::size_t lane = row % kRowGroup;
  return {index * kRowGroup + lane, index * subs * kRowGroup + lane, kRowGroup};
}

}  // namespace

std::uint64_t PlaneBytes(const WeightFormat& format, WeightLayout layout, std::uint32_t rows,
                         std::uint32_t columns) {
  const PlaneSizes sizes = SizesOf(format, layout, rows, columns);
  return sizes.values + sizes.high_bits + sizes.sub_scales + sizes.sub_minimums + sizes.scales +
         sizes.minimums;
}

WeightsView PlanesIn(std::uint8_t* memory, const WeightFormat& format, WeightLayout layout,
                     std::uint32_t rows, std::uint32_t columns) {
  // Planes of vectors come first: each is whole cache lines, so that the next starts on one.
  const PlaneSizes sizes = SizesOf(format, layout, rows, columns);
  WeightsView view{.format = &format, .layout = layout, .rows = rows, .columns = columns};
  if (memory == nullptr) return view;  // an allocation that failed, which its owner finds out
  view.values = memory;
  view.high_bits = view.values + sizes.values;
  std::uint8_t* const sub_scales = view.high_bits + sizes.high_bits;
  view.sub_scales = reinterpret_cast<std::int8_t*>(sub_scales);
  view.sub_minimums = sub_scales + sizes.sub_scales;
  std::uint8_t* const scales = view.sub_minimums + sizes.sub_minimums;
  view.scales = reinterpret_cast<std::uint16_t*>(scales);
  view.minimums = reinterpret_cast<std::uint16_t*>(scales + sizes.scales);
  return view;
}

void PutBlock(const WeightsView& w, std::uint32_t row, std::uint32_t block,
              const WeightBlock& content) {
  const WeightFormat& format = *w.format;
  FALLOW_CHECK(format.is_integer());
  if (w.layout == WeightLayout::kRows) {
    std::memcpy(w.values + std::size_t{row} * w.columns + block * format.block_values,
                content.q.data(), format.block_values);
  } else {
    const std::uint32_t runs = format.block_values / kRunValues;
    for (std::uint32_t run = 0; run < runs; ++run) {
      PutRun(w, row, block * runs + run, content.q.data() + run * kRunValues);
    }
  }
  const ScalePlace place = PlaceOfScales(w, row, block);
  w.scales[place.scale] = content.scale;
  if (format.has_minimum) w.minimums[place.scale] = content.minimum;
  for (std::uint32_t s = 0; s < format.sub_block_count(); ++s) {
    w.sub_scales[place.sub_scale + s * place.sub_step] = content.sub_scales[s];
    if (format.has_minimum) {
      w.sub_minimums[place.sub_scale + s * place.sub_step] = content.sub_minimums[s];
    }
  }
}

void GetBlock(const WeightsView& w, std::uint32_t row, std::uint32_t block, WeightBlock& content) {
  const WeightFormat& format = *w.format;
  FALLOW_CHECK(format.is_integer());
  if (w.layout == WeightLayout::kRows) {
    std::memcpy(content.q.data(),
                w.values + std::size_t{row} * w.columns + block * format.block_values,
                format.block_values);
  } else {
    const std::uint32_t runs = format.block_values / kRunValues;
    for (std::uint32_t run = 0; run < runs; ++run) {
      GetRun(w, row, block * runs + run, content.q.data() + run * kRunValues);
    }
  }
  const ScalePlace place = PlaceOfScales(w, row, block);
  content.scale = w.scales[place.scale];
  if (format.has_minimum) content.minimum = w.minimums[place.scale];
  for (std::uint32_t s = 0; s < format.sub_block_count(); ++s) {
    content.sub_scales[s] = w.sub_scales[place.sub_scale + s * place.sub_step];
    if (format.has_minimum) {
      content.sub_minimums[s] = w.sub_minimums[place.sub_scale + s * place.sub_step];
    }
  }
}

std::size_t FloatPlace(const WeightsView& w, std::uint32_t row, std::uint32_t column) {
  if (w.layout == WeightLayout::kRows) return std::size_t{row} * w.columns + column;
  return (std::size_t{row / kRowGroup} * w.columns + column) * kRowGroup + row % kRowGroup;
}

}  // namespace fallow::engine
