// A StepBuilder turns a step's operators into dispatches, joining neighbours where one kernel does
// both.
//
// Invariant: joining changes the number of dispatches, never a bit of a tensor.
// Threading: one thread.
#pragma once

#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/vulkan/kernel_arguments.h"
#include "engine/vulkan/kernel_set.h"
#include "engine/vulkan/memory_pool.h"
#include "engine/vulkan/step_queue.h"
#include "engine/vulkan/vulkan_storage.h"

namespace fallow::engine {

class StepBuilder {
 public:
  StepBuilder(const DevicePlan& plan, KernelSet& kernels, MemoryPool& memory)
      : plan_(plan), kernels_(kernels), memory_(memory) {}

  Status Begin(const StepRows& rows, std::uint32_t page_count);
  void Clear();

  void Embed(const VulkanMatrix& table, VulkanTensor& out);
  void RmsNorm(const VulkanTensor& x, const VulkanTensor& weight, float epsilon, VulkanTensor& out,
               std::uint32_t rows);
  void MatMul(const VulkanMatrix& weights, VulkanTensor& x, VulkanTensor& out, std::uint32_t rows);
  void Rope(VulkanTensor& x, const VulkanTensor& table, std::uint32_t head_size);
  void StoreKv(const VulkanTensor& keys, const VulkanTensor& values, VulkanKvCache& cache);
  void Attention(const VulkanTensor& q, const VulkanKvCache& cache, const AttentionShape& shape,
                 VulkanTensor& out);
  void Add(VulkanTensor& x, const VulkanTensor& y);
  void SiluMul(VulkanTensor& gate, const VulkanTensor& up);
  void GatherRows(const VulkanTensor& x, std::span<const std::uint32_t> source_rows,
                  VulkanTensor& out);

  // The first error of an operator since Begin.
  const Status& status() const { return status_; }
  std::span<const Dispatch> dispatches() const { return dispatches_; }
  // What kStepBlock must hold, from its first byte on.
  std::span<const std::uint32_t> step_words() const { return step_words_; }

 private:
  // What the last dispatch was, as far as a following operator can join it.
  enum class Last : std::uint8_t { kOther, kMatMul, kAdd, kRope };

  std::uint32_t row_count() const { return row_count_; }
  Dispatch* Append(std::string_view kernel, const KernelConstants& constants);
  void FailStep(ErrorCode code, std::string message);
  void FailStep(const Error& error);
  void Wrote(VulkanTensor& tensor);
  void WroteQuantised(VulkanTensor& tensor, std::uint32_t rows);
  bool EnsureQuantisedMemory(VulkanTensor& tensor);
  void EnsureQuantised(VulkanTensor& tensor, std::uint32_t rows);
  void Elementwise(std::uint32_t operation, VulkanTensor& x, const VulkanTensor* y,
                   std::uint32_t rows);
  bool JoinRope(const VulkanTensor& x, const VulkanTensor& table, const RopeRows& rows);
  bool JoinMatMul(const VulkanMatrix& weights, const VulkanTensor& x, const VulkanTensor& out,
                  std::uint32_t rows);
  void AppendMatMul(const VulkanMatrix& weights, const MatrixPart& part, const VulkanTensor& x,
                    VulkanTensor& out, std::uint32_t rows);
  void AttentionInOne(const VulkanTensor& q, const VulkanKvCache& cache,
                      const AttentionArguments& arguments, VulkanTensor& out);
  void AttentionInChunks(const VulkanTensor& q, const VulkanKvCache& cache,
                         const AttentionArguments& arguments, VulkanTensor& out);
  bool EnsurePartials(std::uint64_t value_bytes, std::uint64_t sum_bytes);
  bool HoldsPages(const VulkanKvCache& cache);
  std::array<std::uint32_t, 3> RowGrid(std::uint32_t stride, std::uint32_t rows) const;
  // Octets of 256 columns.
  static std::uint32_t RowOctets(std::uint32_t stride) { return (stride / kQuantBlock + 7) / 8; }
  std::uint32_t OctetGroups(std::uint32_t octets) const {
    return (octets + plan_.octets() - 1) / plan_.octets();
  }

  const DevicePlan& plan_;
  KernelSet& kernels_;
  MemoryPool& memory_;

  Status status_;
  std::vector<Dispatch> dispatches_;
  std::vector<std::uint32_t> step_words_;
  std::uint64_t step_number_ = 1;
  std::uint32_t row_count_ = 0;
  std::uint32_t pages_per_row_ = 0;
  std::uint32_t max_position_ = 0;
  std::uint32_t max_token_ = 0;
  std::uint32_t max_page_ = 0;
  std::uint32_t tokens_offset_ = 0;
  std::uint32_t positions_offset_ = 0;
  std::uint32_t pages_offset_ = 0;
  MemoryRange partial_values_;
  MemoryRange partial_sums_;

  Last last_ = Last::kOther;
  const VulkanTensor* last_x_ = nullptr;
  const VulkanTensor* last_y_ = nullptr;
  WeightType last_type_ = WeightType::kF32;
  std::uint32_t last_rows_ = 0;
  std::size_t last_segments_ = 0;
};

}  // namespace fallow::engine
