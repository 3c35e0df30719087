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
#include "engine/vulkan/step_places.h"
#include "engine/vulkan/step_queue.h"
#include "engine/vulkan/vulkan_storage.h"

namespace fallow::engine {

// What shaders/elementwise.comp does to each value, by its numbers.
enum class Operation : std::uint32_t {
  kNone,
  kAdd,
  kSiluMul,
  kGeluMul,
  kGeluErf,
  kScale,
  kSoftcap,
};

// Memory for partial results of attention, in bytes.
struct PartialBytes {
  std::uint64_t values = 0;
  std::uint64_t sums = 0;
};

class StepBuilder {
 public:
  StepBuilder(const DevicePlan& plan, KernelSet& kernels, MemoryPool& memory)
      : plan_(plan), kernels_(kernels), memory_(memory) {}

  Status Begin(const StepRows& rows, std::uint32_t page_count);
  void Clear();
  // Gives up what steps took of the pool. Not within a step.
  void DropPartials() {
    partial_values_ = {};
    partial_sums_ = {};
  }

  void Embed(const VulkanMatrix& table, EmbedBy by, VulkanTensor& out);
  void RmsNorm(const VulkanTensor& x, const VulkanTensor& weight, float epsilon, VulkanTensor& out,
               std::uint32_t rows);
  void LayerNorm(const VulkanTensor& x, const VulkanTensor& weight, const VulkanTensor& bias,
                 float epsilon, VulkanTensor& out, std::uint32_t rows);
  void MatMul(const VulkanMatrix& weights, VulkanTensor& x, VulkanTensor& out, std::uint32_t rows);
  void Rope(VulkanTensor& x, const VulkanTensor& table, const RotaryShape& shape);
  void StoreKv(const VulkanTensor& keys, const VulkanTensor& values, VulkanKvCache& cache);
  void Attention(const VulkanTensor& q, const VulkanKvCache& cache, const AttentionShape& shape,
                 VulkanTensor& out);
  void Add(VulkanTensor& x, const VulkanTensor& y);
  void AddRow(VulkanTensor& x, const VulkanTensor& row);
  void Scale(VulkanTensor& x, float factor);
  void SiluMul(VulkanTensor& gate, const VulkanTensor& up);
  void GeluMul(VulkanTensor& gate, const VulkanTensor& up);
  void GeluErf(VulkanTensor& x);
  void Softcap(VulkanTensor& x, float cap, std::uint32_t rows);
  void GatherRows(const VulkanTensor& x, std::span<const std::uint32_t> source_rows,
                  VulkanTensor& out);

  // The first error of an operator since Begin.
  const Status& status() const { return status_; }
  std::span<const Dispatch> dispatches() const { return dispatches_; }
  // What kStepBlock must hold, from its first byte on.
  std::span<const std::uint32_t> step_words() const { return places_.words(); }

  // The most memory that Attention takes for itself in steps of so many rows.
  static PartialBytes MostPartialBytes(const AttentionShape& shape, std::uint32_t rows,
                                       std::uint32_t pages_per_row);

 private:
  // What the last dispatch was, as far as a following operator can join it.
  enum class Last : std::uint8_t { kOther, kMatMul, kAdd, kRope };
  struct ElementwiseInput {
    Operation operation = Operation::kNone;
    const VulkanTensor* y = nullptr;
    bool one_row = false;  // of y, for all of x
    float factor = 0;
    float inverse = 0;
  };

  std::uint32_t row_count() const { return places_.row_count(); }
  Dispatch* Append(std::string_view kernel, const KernelConstants& constants);
  void FailStep(ErrorCode code, std::string message);
  void FailStep(const Error& error);
  void Wrote(VulkanTensor& tensor);
  void EnsureForm(VulkanTensor& tensor, ActivationForm form, std::uint32_t rows);
  // Binds a form of `tensor`, all of whose rows `dispatch` writes.
  Int8FormArguments WritesForm(Dispatch& dispatch, VulkanTensor& tensor, ActivationForm form,
                               const std::array<std::uint32_t, 2>& bindings, std::uint32_t rows);
  void Elementwise(VulkanTensor& x, const ElementwiseInput& input, ActivationForm form,
                   std::uint32_t rows);
  // Whether the dispatch before adds `y` to these rows of `x`, and a norm of them into `out` can do
  // it instead: then it is taken back and `y` given.
  const VulkanTensor* TakeAddition(const VulkanTensor& x, const VulkanTensor& out,
                                   std::uint32_t rows);
  void RmsNormOfGroups(const VulkanTensor& x, const VulkanTensor& weight, float epsilon,
                       VulkanTensor& out, std::uint32_t rows);
  struct RowRun {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  void RmsNormOfSomeGroups(const VulkanTensor& x, const VulkanTensor& weight, float epsilon,
                           VulkanTensor& out, const RowRun& run);
  bool JoinRope(VulkanTensor& x, const VulkanTensor& table, const RotaryShape& shape,
                const RopeRows& rows);
  bool JoinMatMul(const VulkanMatrix& weights, const VulkanTensor& x, const VulkanTensor& out,
                  std::uint32_t rows);
  void AppendMatMul(const VulkanMatrix& weights, const MatrixPart& part, VulkanTensor& x,
                    VulkanTensor& out, std::uint32_t rows);
  void AttentionInOne(const VulkanTensor& q, const VulkanKvCache& cache,
                      const AttentionArguments& arguments, VulkanTensor& out);
  void AttentionInChunks(const VulkanTensor& q, const VulkanKvCache& cache,
                         const AttentionArguments& arguments, VulkanTensor& out);
  void JoinChunks(const AttentionArguments& arguments, std::uint32_t blocks, std::uint32_t rows,
                  VulkanTensor& out);
  bool EnsurePartials(const PartialBytes& bytes);
  bool HoldsPages(const VulkanKvCache& cache);
  std::string_view AttentionKernel() const {
    return plan_.packed_dot ? "attention_packed" : "attention";
  }
  std::array<std::uint32_t, 3> RowGrid(std::uint32_t stride, std::uint32_t rows) const;
  // Octets of 256 columns.
  static std::uint32_t RowOctets(std::uint32_t stride) {
    return (stride + kChunkColumns - 1) / kChunkColumns;
  }
  std::uint32_t OctetGroups(std::uint32_t octets) const {
    return (octets + plan_.octets() - 1) / plan_.octets();
  }

  const DevicePlan& plan_;
  KernelSet& kernels_;
  MemoryPool& memory_;

  Status status_;
  std::vector<Dispatch> dispatches_;
  StepPlaces places_;
  std::uint64_t step_number_ = 1;
  MemoryRange partial_values_;
  MemoryRange partial_sums_;

  Last last_ = Last::kOther;
  const VulkanTensor* last_x_ = nullptr;
  const VulkanTensor* last_y_ = nullptr;
  WeightType last_type_ = WeightType::kF32;
  RotaryShape last_shape_;
  std::uint32_t last_rows_ = 0;
  std::size_t last_segments_ = 0;
};

// The form that operators which write `tensor` write with it: one that a product has read.
ActivationForm FormToWrite(VulkanTensor& tensor);
// kForm of the kernels that write forms.
std::uint32_t FormConstant(ActivationForm form);

}  // namespace fallow::engine
