// Attention over int8 keys and values, in plain C++.
#include <algorithm>
#include <array>

#include "engine/cpu/plain_kernels.h"
#include "engine/exact.h"

namespace fallow::engine::plain {
namespace {

struct Query {
  std::array<std::int8_t, kMaxHeadSize> quants;
  std::array<float, kMaxHeadSize / kQuantBlock> scales;
};

// A head's values times `factor`, padded with zeros, as int8 blocks.
void QuantiseHead(const float* x, std::uint32_t head_size, float factor, std::uint32_t block_count,
                  std::int8_t* quants, float* scales) {
  for (std::uint32_t block = 0; block < block_count; ++block) {
    std::array<float, kQuantBlock> padded{};
    for (std::uint32_t i = 0; i < std::min(kQuantBlock, head_size - block * kQuantBlock); ++i) {
      padded[i] = x[block * kQuantBlock + i] * factor;
    }
    QuantiseBlock(padded.data(), kQuantBlock, quants + block * kQuantBlock, scales + block);
  }
}

std::int32_t Dot(const std::int8_t* a, const std::int8_t* b) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) sum += std::int32_t{a[i]} * b[i];
  return sum;
}

float Score(const Query& q, const AttentionTask& task, const KvView& page, std::uint32_t j) {
  const std::uint32_t block_count = task.cache.block_count;
  float score = 0;
  for (std::uint32_t b = 0; b < block_count; ++b) {
    const std::int32_t dot =
        Dot(q.quants.data() + b * kQuantBlock, page.keys + (j * block_count + b) * kQuantBlock);
    score = score + (ExactFloat(dot) * page.key_scales[j * block_count + b]) * q.scales[b];
  }
  return task.cap.cap == 0.0f ? score : ExactSoftcap(score, task.cap.cap, task.cap.inverse);
}

// The softmax of one head over the keys of one chunk: their maximum, the sum of their weights, the
// weighted values.
struct AttentionPart {
  float maximum = 0;
  float weight_sum = 0;
  std::array<float, kMaxHeadSize> values{};
};

AttentionPart AttendChunk(const Query& q, const AttentionTask& task, std::uint32_t chunk) {
  const KvCacheView& cache = task.cache;
  const KvView page = cache.At(task.pages[chunk], task.kv_head);
  const auto [begin, end] = task.PlacesIn(chunk);
  AttentionPart part;
  part.maximum = kLowestScore;
  std::array<float, kChunk> weights;
  for (std::uint32_t j = begin; j < end; ++j) {
    weights[j] = Score(q, task, page, j);
    part.maximum = weights[j] > part.maximum ? weights[j] : part.maximum;
  }
  for (std::uint32_t j = begin; j < end; ++j)
    weights[j] = ExactSoftmaxWeight(weights[j] - part.maximum);
  part.weight_sum = VectorSum(begin, end, [&](std::uint32_t j) { return weights[j]; });
  for (std::uint32_t d = 0; d < cache.head_size; ++d) {
    float sum = 0;
    for (std::uint32_t j = begin; j < end; ++j) {
      const float scale = page.value_scales[j * cache.block_count + d / kQuantBlock];
      sum = sum + (weights[j] * scale) * ExactFloat(page.values[j * cache.padded_head_size() + d]);
    }
    part.values[d] = sum;
  }
  return part;
}

void Join(AttentionPart& all, const AttentionPart& part, std::uint32_t head_size) {
  const float maximum = part.maximum > all.maximum ? part.maximum : all.maximum;
  const float all_weight = ExactSoftmaxWeight(all.maximum - maximum);
  const float part_weight = ExactSoftmaxWeight(part.maximum - maximum);
  all.maximum = maximum;
  all.weight_sum = ExactJoin(all.weight_sum, all_weight, part.weight_sum, part_weight);
  for (std::uint32_t d = 0; d < head_size; ++d) {
    all.values[d] = ExactJoin(all.values[d], all_weight, part.values[d], part_weight);
  }
}

void AttendHead(const float* q, const AttentionTask& task, float* out) {
  const KvCacheView& cache = task.cache;
  Query query;
  QuantiseHead(q, cache.head_size, task.factor, cache.block_count, query.quants.data(),
               query.scales.data());
  const std::uint32_t first_chunk = task.first / kChunk;
  AttentionPart all = AttendChunk(query, task, first_chunk);
  for (std::uint32_t chunk = first_chunk + 1; chunk <= task.last / kChunk; ++chunk) {
    Join(all, AttendChunk(query, task, chunk), cache.head_size);
  }
  const float inverse = ExactRcp(all.weight_sum);
  for (std::uint32_t d = 0; d < cache.head_size; ++d) out[d] = ExactSnap(all.values[d] * inverse);
}

}  // namespace

void StoreKv(const float* key, const float* value, const KvCacheView& cache, const KvView& page,
             std::uint32_t place) {
  const std::size_t first = std::size_t{place} * cache.padded_head_size();
  const std::size_t first_scale = std::size_t{place} * cache.block_count;
  QuantiseHead(key, cache.head_size, 1.0f, cache.block_count, page.keys + first,
               page.key_scales + first_scale);
  QuantiseHead(value, cache.head_size, 1.0f, cache.block_count, page.values + first,
               page.value_scales + first_scale);
}

void Attention(const float* q, const AttentionTask& task, float* out) {
  for (std::uint32_t head = 0; head < task.head_count; ++head) {
    const std::size_t first = std::size_t{head} * task.cache.head_size;
    AttendHead(q + first, task, out + first);
  }
}

}  // namespace fallow::engine::plain
