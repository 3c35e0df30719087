// The arguments of each kernel, field for field as its shader declares them. Offsets count elements
// of the binding's type from the beginning of its block.
#pragma once

#include <array>
#include <cstdint>

#include "engine/vulkan/device_plan.h"

namespace fallow::engine {

// Where a kernel stores an int8 form.
struct Int8FormArguments {
  std::uint32_t words_offset = 0;
  std::uint32_t word_stride = 0;
  std::uint32_t numbers_offset = 0;
  std::uint32_t number_stride = 0;
};

struct EmbedArguments {
  std::uint32_t first_row = 0;
  std::uint32_t row_count = 0;
  std::uint32_t columns = 0;
  std::uint32_t stride = 0;
  std::uint32_t table_offset = 0;
  std::uint32_t index_offset = 0;
  std::uint32_t result_offset = 0;
};

struct RmsNormArguments {
  std::uint32_t rows = 0;
  std::uint32_t groups = 1;
  std::uint32_t columns = 0;
  std::uint32_t stride = 0;
  float inverse_count = 0;
  float epsilon = 0;
  std::uint32_t x_offset = 0;
  std::uint32_t y_offset = 0;
  std::uint32_t weight_offset = 0;
  std::uint32_t result_offset = 0;
  Int8FormArguments form;
};

struct LayerNormArguments {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::uint32_t stride = 0;
  float inverse_count = 0;
  float epsilon = 0;
  std::uint32_t x_offset = 0;
  std::uint32_t y_offset = 0;
  std::uint32_t weight_offset = 0;
  std::uint32_t bias_offset = 0;
  std::uint32_t result_offset = 0;
  Int8FormArguments form;
};

struct ElementwiseArguments {
  std::uint32_t stride = 0;
  std::uint32_t y_stride = 0;
  std::uint32_t x_offset = 0;
  std::uint32_t y_offset = 0;
  float factor = 0;
  float inverse = 0;
  Int8FormArguments form;
};

struct GatherArguments {
  std::uint32_t stride = 0;
  std::uint32_t x_offset = 0;
  std::uint32_t rows_offset = 0;
  std::uint32_t result_offset = 0;
};

struct RopeRows {
  std::uint32_t pairs = 0;
  std::uint32_t stride = 0;
  std::uint32_t offset = 0;
};

struct RopeArguments {
  std::array<RopeRows, 2> rows;
  std::uint32_t octets = 0;
  std::uint32_t head_size = 0;
  std::uint32_t head_pairs = 0;
  std::uint32_t table_stride = 0;
  std::uint32_t table_offset = 0;
  std::uint32_t places_offset = 0;
};

struct StoreKvArguments {
  std::uint32_t heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t stride = 0;
  std::uint32_t pages_per_row = 0;
  std::uint32_t keys_offset = 0;
  std::uint32_t values_offset = 0;
  std::uint32_t positions_offset = 0;
  std::uint32_t pages_offset = 0;
  std::uint32_t key_words_offset = 0;
  std::uint32_t value_words_offset = 0;
  std::uint32_t key_scales_offset = 0;
  std::uint32_t value_scales_offset = 0;
};

struct AttentionArguments {
  std::uint32_t heads = 0;
  std::uint32_t heads_per_kv_head = 0;
  std::uint32_t head_size = 0;
  std::uint32_t stride = 0;
  std::uint32_t first_row = 0;
  std::uint32_t pages_per_row = 0;
  std::uint32_t chunks = 0;
  std::uint32_t window = 0;
  float query_factor = 0;
  float cap = 0;
  float inverse_cap = 0;
  std::uint32_t q_offset = 0;
  std::uint32_t positions_offset = 0;
  std::uint32_t last_seen_offset = 0;
  std::uint32_t pages_offset = 0;
  std::uint32_t result_offset = 0;
  std::uint32_t keys_offset = 0;
  std::uint32_t values_offset = 0;
  std::uint32_t key_scales_offset = 0;
  std::uint32_t value_scales_offset = 0;
  std::uint32_t partial_values_offset = 0;
  std::uint32_t partial_sums_offset = 0;
  Int8FormArguments form;
};

struct AttentionJoinArguments {
  std::uint32_t heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t stride = 0;
  std::uint32_t first_row = 0;
  std::uint32_t chunks = 0;
  std::uint32_t window = 0;
  std::uint32_t positions_offset = 0;
  std::uint32_t last_seen_offset = 0;
  std::uint32_t result_offset = 0;
  std::uint32_t values_offset = 0;
  std::uint32_t sums_offset = 0;
};

inline constexpr std::size_t kMaxSegments = 3;

struct MatMulSegment {
  std::uint32_t tile_end = 0;
  std::uint32_t weights_offset = 0;
  std::uint32_t results_offset = 0;
  std::uint32_t outputs = 0;
  std::uint32_t stride = 0;
};

struct MatMulArguments {
  std::uint32_t rows = 0;
  std::uint32_t blocks = 0;
  std::uint32_t x_stride = 0;
  std::uint32_t number_stride = 0;
  std::uint32_t x_offset = 0;
  std::uint32_t numbers_offset = 0;
  std::array<MatMulSegment, kMaxSegments> segments;
};
static_assert(sizeof(MatMulArguments) <= kMaxArgumentBytes);
static_assert(sizeof(AttentionArguments) <= kMaxArgumentBytes);

}  // namespace fallow::engine
