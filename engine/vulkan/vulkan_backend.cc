#include "engine/vulkan/vulkan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "engine/vulkan/binding_sets.h"
#include "engine/vulkan/device.h"
#include "engine/vulkan/device_choice.h"
#include "engine/vulkan/instance.h"
#include "engine/vulkan/kernel_set.h"
#include "engine/vulkan/memory_pool.h"
#include "engine/vulkan/step_builder.h"
#include "engine/vulkan/step_queue.h"
#include "engine/vulkan/transfers.h"
#include "engine/vulkan/tuned_backend.h"
#include "engine/vulkan/vulkan_storage.h"
#include "engine/vulkan/weight_layout.h"

namespace fallow::engine {
namespace {

// A step's words are kept in memory of at least this length, a power of two.
constexpr std::uint64_t kMinStepBytes = std::uint64_t{64} << 10;

std::uint64_t StepMemoryBytes(std::uint64_t words) {
  return std::bit_ceil(std::max(words * sizeof(std::uint32_t), kMinStepBytes));
}

VulkanTensor& Own(Tensor& tensor) {
  return static_cast<VulkanTensor&>(tensor);
}
const VulkanTensor& Own(const Tensor& tensor) {
  return static_cast<const VulkanTensor&>(tensor);
}
// A tensor's int8 form is part of its state, not of its value.
VulkanTensor& OwnState(const Tensor& tensor) {
  return const_cast<VulkanTensor&>(Own(tensor));
}
const VulkanMatrix& Own(const Matrix& matrix) {
  return static_cast<const VulkanMatrix&>(matrix);
}

class VulkanBackend final : public TunedVulkanBackend {
 public:
  using Backend::NewKvCache;
  using Backend::NewMatrix;
  using Backend::NewTensor;
  using Backend::Upload;
  static Result<std::unique_ptr<VulkanBackend>> Create(std::unique_ptr<VulkanDevice> device,
                                                       const VulkanDeviceInfo& about,
                                                       KernelStore* kernels) {
    std::unique_ptr<VulkanBackend> self(new VulkanBackend(std::move(device)));
    FALLOW_ASSIGN_OR_RETURN(self->kernels_, KernelSet::Create(*self->device_, kernels));
    self->sets_ = std::make_unique<BindingSets>(*self->device_, *self->kernels_, self->memory_);
    FALLOW_ASSIGN_OR_RETURN(self->queue_,
                            StepQueue::Create(*self->device_, *self->kernels_, *self->sets_));
    self->transfers_ =
        std::make_unique<Transfers>(self->device_->plan(), self->memory_, *self->queue_);
    self->builder_ =
        std::make_unique<StepBuilder>(self->device_->plan(), *self->kernels_, self->memory_);
    self->info_ = {.vulkan = true,
                   .processor = about.name,
                   .driver = about.driver,
                   .memory_bytes = self->device_->plan().memory_bytes,
                   .pci_address = about.pci_address,
                   .queue_priority = self->device_->has_low_priority() ? "low" : "default",
                   .timestamps = self->device_->plan().timestamp_bits != 0};
    return self;
  }

  const BackendInfo& info() const override { return info_; }

  VulkanCounters counters() const override {
    return {.submissions = queue_->submissions(),
            .dispatches = dispatches_,
            .slices_over_ceiling = queue_->pacer().over_ceiling_count(),
            .longest_slice_ns = queue_->pacer().longest_ns(),
            .reserved_bytes = memory_.reserved_bytes(),
            .validation_messages = device_->instance().validation_messages()};
  }

  void OnSlice(std::function<void(std::chrono::nanoseconds)> fn) override {
    queue_->OnSlice(std::move(fn));
  }

  Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                            Int8Forms forms, const StepControl& control) override {
    FALLOW_RETURN_IF_ERROR(CheckColumns("tensor", columns));
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    const TensorLayout layout(rows, columns, forms);
    FALLOW_ASSIGN_OR_RETURN(auto memory,
                            transfers_->AllocateZeros(layout.value_bytes(), "a tensor", control));
    FALLOW_ASSIGN_OR_RETURN(auto per_32, NewForm(layout, layout.number_stride_per_32, control));
    FALLOW_ASSIGN_OR_RETURN(auto per_256, NewForm(layout, layout.number_stride_per_256, control));
    return std::make_unique<VulkanTensor>(rows, columns, std::move(memory), std::move(per_32),
                                          std::move(per_256));
  }

  Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                            std::uint32_t columns, ByteView data,
                                            const StepControl& control) override {
    FALLOW_CHECK(columns % FormatOf(type).block_values == 0);
    FALLOW_CHECK(data.size() == rows * WeightRowBytes(type, columns));
    FALLOW_RETURN_IF_ERROR(CheckColumns("matrix", columns));
    if (rows > kMaxOutputs)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("matrix of {} rows, the limit is {}", rows, kMaxOutputs));
    const std::uint32_t rows_per_part = RowsPerPart(type, columns);
    if (rows_per_part == 0)
      return Fail(
          ErrorCode::kResourceExhausted,
          fmt::format(
              "matrix: {} rows of {} columns are {} bytes, this device binds at most {} at once",
              kTileOutputs, columns, PackedBytes(type, kTileOutputs, columns),
              device_->plan().max_range_bytes));
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    auto matrix = std::make_unique<VulkanMatrix>(type, rows, columns);
    for (std::uint32_t first = 0; first < rows; first += rows_per_part) {
      FALLOW_ASSIGN_OR_RETURN(
          MatrixPart part, LoadPart(type, first, std::min(rows_per_part, rows - first), columns,
                                    data.subspan(first * WeightRowBytes(type, columns)), control));
      matrix->parts.push_back(std::move(part));
    }
    return matrix;
  }

  Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape,
                                              const StepControl& control) override {
    FALLOW_CHECK(shape.head_size > 0 && shape.head_size <= kMaxHeadSize);
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    auto cache = std::make_unique<VulkanKvCache>(shape);
    const auto allocate = [&](std::uint64_t bytes, std::string_view what) {
      return transfers_->AllocateZeros(bytes, what, control);
    };
    FALLOW_ASSIGN_OR_RETURN(cache->keys, allocate(cache->WordBytes(), "a cache's keys"));
    FALLOW_ASSIGN_OR_RETURN(cache->values, allocate(cache->WordBytes(), "a cache's values"));
    FALLOW_ASSIGN_OR_RETURN(cache->key_scales, allocate(cache->ScaleBytes(), "a cache's scales"));
    FALLOW_ASSIGN_OR_RETURN(cache->value_scales, allocate(cache->ScaleBytes(), "a cache's scales"));
    max_page_count_ = std::max(max_page_count_, shape.page_count);
    return cache;
  }

  std::uint64_t TensorBytes(std::uint32_t rows, std::uint32_t columns,
                            Int8Forms forms) const override {
    const TensorLayout layout(rows, columns, forms);
    std::uint64_t bytes = memory_.RangeBytes(layout.value_bytes());
    for (const std::uint32_t stride : {layout.number_stride_per_32, layout.number_stride_per_256})
      if (stride != 0)
        bytes += memory_.RangeBytes(layout.word_bytes()) +
                 memory_.RangeBytes(layout.number_bytes(stride));
    return bytes;
  }

  std::uint64_t MatrixBytes(WeightType type, std::uint32_t rows,
                            std::uint32_t columns) const override {
    const std::uint32_t rows_per_part = RowsPerPart(type, columns);
    if (rows_per_part == 0) return PackedBytes(type, rows, columns);  // which NewMatrix refuses
    const std::uint64_t whole_parts = rows / rows_per_part;
    const std::uint32_t rest = rows % rows_per_part;
    return whole_parts * memory_.RangeBytes(PackedBytes(type, rows_per_part, columns)) +
           (rest == 0 ? 0 : memory_.RangeBytes(PackedBytes(type, rest, columns)));
  }

  std::uint64_t KvCacheBytes(const KvShape& shape) const override {
    const VulkanKvCache cache(shape);
    return 2 * memory_.RangeBytes(cache.WordBytes()) + 2 * memory_.RangeBytes(cache.ScaleBytes());
  }

  std::uint64_t StepBytes(const AttentionShape& shape, std::uint32_t max_rows,
                          std::uint32_t pages_per_row) const override {
    std::uint64_t bytes = StepMemoryBytes(StepPlaces::MostWords(max_rows, pages_per_row));
    const PartialBytes partials = StepBuilder::MostPartialBytes(shape, max_rows, pages_per_row);
    for (const std::uint64_t part : {partials.values, partials.sums})
      if (part != 0) bytes += memory_.RangeBytes(part);
    return bytes;
  }

  std::uint64_t used_bytes() const override { return memory_.used_bytes() + step_memory_.size(); }
  std::uint64_t discarded_bytes() const override { return memory_.empty_bytes(); }
  // With what steps have taken: the next takes what it needs.
  Status GiveBack(const StepControl& control) override {
    if (builder_->dispatches().empty()) {
      builder_->DropPartials();
      step_memory_ = {};
    }
    return memory_.GiveBack(control);
  }

  Status Upload(Tensor& tensor, std::span<const float> values,
                const StepControl& control) override {
    VulkanTensor& own = Own(tensor);
    const std::size_t columns = own.columns();
    FALLOW_CHECK(columns > 0 && values.size() % columns == 0 &&
                 values.size() / columns <= own.rows());
    const std::size_t row_bytes = own.stride() * sizeof(float);
    const auto fill = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
      std::ranges::fill(out, std::uint8_t{0});
      for (std::size_t at = 0; at < out.size(); at += row_bytes)
        std::memcpy(out.data() + at, values.data() + (offset + at) / row_bytes * columns,
                    columns * sizeof(float));
      return Status{};
    };
    return transfers_->Write(own.memory(), values.size() / columns * row_bytes, row_bytes, fill,
                             control);
  }

  Status Download(const Tensor& tensor, std::uint32_t rows, std::span<float> values) override {
    const VulkanTensor& own = Own(tensor);
    FALLOW_CHECK(rows <= own.rows() && values.size() == std::size_t{rows} * own.columns());
    const std::size_t row_bytes = own.stride() * sizeof(float);
    return transfers_->Read(
        own.memory(), rows * row_bytes, row_bytes, [&](std::uint64_t offset, ByteView bytes) {
          for (std::size_t at = 0; at < bytes.size(); at += row_bytes)
            std::memcpy(values.data() + (offset + at) / row_bytes * own.columns(),
                        bytes.data() + at, own.columns() * sizeof(float));
        });
  }

  Status BeginStep(const StepRows& rows) override { return builder_->Begin(rows, max_page_count_); }
  void Embed(const Matrix& table, EmbedBy by, Tensor& out) override {
    builder_->Embed(Own(table), by, Own(out));
  }
  void RmsNorm(const Tensor& x, const Tensor& weight, float epsilon, Tensor& out,
               std::uint32_t rows) override {
    builder_->RmsNorm(Own(x), Own(weight), epsilon, Own(out), rows);
  }
  void LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon,
                 Tensor& out, std::uint32_t rows) override {
    builder_->LayerNorm(Own(x), Own(weight), Own(bias), epsilon, Own(out), rows);
  }
  void MatMul(const Matrix& weights, const Tensor& x, Tensor& out, std::uint32_t rows) override {
    builder_->MatMul(Own(weights), OwnState(x), Own(out), rows);
  }
  void Rope(Tensor& x, const Tensor& table, const RotaryShape& shape) override {
    builder_->Rope(Own(x), Own(table), shape);
  }
  void StoreKv(const Tensor& keys, const Tensor& values, KvCache& cache) override {
    builder_->StoreKv(Own(keys), Own(values), static_cast<VulkanKvCache&>(cache));
  }
  void Attention(const Tensor& q, const KvCache& cache, const AttentionShape& shape,
                 Tensor& out) override {
    builder_->Attention(Own(q), static_cast<const VulkanKvCache&>(cache), shape, Own(out));
  }
  void Add(Tensor& x, const Tensor& y) override { builder_->Add(Own(x), Own(y)); }
  void AddRow(Tensor& x, const Tensor& row) override { builder_->AddRow(Own(x), Own(row)); }
  void Scale(Tensor& x, float factor) override { builder_->Scale(Own(x), factor); }
  void SiluMul(Tensor& gate, const Tensor& up) override { builder_->SiluMul(Own(gate), Own(up)); }
  void GeluMul(Tensor& gate, const Tensor& up) override { builder_->GeluMul(Own(gate), Own(up)); }
  void GeluErf(Tensor& x) override { builder_->GeluErf(Own(x)); }
  void Softcap(Tensor& x, float cap, std::uint32_t rows) override {
    builder_->Softcap(Own(x), cap, rows);
  }
  void GatherRows(const Tensor& x, std::span<const std::uint32_t> source_rows,
                  Tensor& out) override {
    builder_->GatherRows(Own(x), source_rows, Own(out));
  }

  Status Finish(const StepControl& control) override {
    Status status = builder_->status();
    if (status.has_value() && !builder_->dispatches().empty()) status = RunStep(control);
    builder_->Clear();
    return status;
  }

 private:
  explicit VulkanBackend(std::unique_ptr<VulkanDevice> device)
      : device_(std::move(device)), memory_(*device_) {}

  static Status CheckColumns(std::string_view what, std::uint32_t columns) {
    if (columns > 0 && columns <= kMaxColumns) return {};
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} of {} columns, they may be 1 to {}", what, columns, kMaxColumns));
  }

  // A driver's compiler listens to nobody: it is asked for one kernel at a time.
  Status MakeKernels(const StepControl& control) {
    for (const Dispatch& dispatch : builder_->dispatches()) {
      if (dispatch.kernel->pipeline != VK_NULL_HANDLE) continue;
      FALLOW_RETURN_IF_ERROR(control.GoOn());
      FALLOW_RETURN_IF_ERROR(kernels_->Make(*dispatch.kernel));
    }
    return {};
  }

  Status RunStep(const StepControl& control) {
    FALLOW_RETURN_IF_ERROR(MakeKernels(control));
    const auto words = builder_->step_words();
    const std::uint64_t bytes = words.size() * sizeof(std::uint32_t);
    if (step_memory_.size() < bytes) {
      step_memory_ = {};
      FALLOW_ASSIGN_OR_RETURN(step_memory_,
                              memory_.Allocate(MemoryKind::kUpload, StepMemoryBytes(words.size()),
                                               "a step's positions and pages"));
    }
    // Offsets of a step's words count from the first byte of a block.
    FALLOW_CHECK(step_memory_.offset() == 0);
    std::memcpy(step_memory_.mapped(), words.data(), bytes);
    dispatches_ += builder_->dispatches().size();
    return queue_->Run(builder_->dispatches(), step_memory_.block(), control);
  }

  Result<Int8Storage> NewForm(const TensorLayout& layout, std::uint32_t number_stride,
                              const StepControl& control) {
    Int8Storage form;
    if (number_stride == 0) return form;
    FALLOW_ASSIGN_OR_RETURN(
        form.words,
        transfers_->AllocateZeros(layout.word_bytes(), "the int8 form of a tensor", control));
    FALLOW_ASSIGN_OR_RETURN(form.numbers,
                            transfers_->AllocateZeros(layout.number_bytes(number_stride),
                                                      "the int8 scales of a tensor", control));
    form.word_stride = layout.stride / 4;
    form.number_stride = number_stride;
    return form;
  }

  // Whole tiles that one binding holds; 0 when it cannot hold one.
  std::uint32_t RowsPerPart(WeightType type, std::uint32_t columns) const {
    const std::uint64_t tiles =
        device_->plan().max_range_bytes / PackedBytes(type, kTileOutputs, columns);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(tiles * kTileOutputs, kMaxOutputs));
  }

  Result<MatrixPart> LoadPart(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                              std::uint32_t columns, ByteView data, const StepControl& control) {
    MatrixPart part{.first_row = first_row, .rows = rows};
    FALLOW_ASSIGN_OR_RETURN(
        part.memory,
        memory_.Allocate(MemoryKind::kDevice, PackedBytes(type, rows, columns), "weights"));
    const std::uint64_t tile_bytes = PackedBytes(type, kTileOutputs, columns);
    const auto fill = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
      const auto first = static_cast<std::uint32_t>(offset / tile_bytes * kTileOutputs);
      const auto most = static_cast<std::uint32_t>(out.size() / tile_bytes * kTileOutputs);
      const std::uint32_t count = std::min(rows - first, most);
      return PackWeights(type, first_row + first, count, columns,
                         data.subspan(first * WeightRowBytes(type, columns)), out);
    };
    FALLOW_RETURN_IF_ERROR(transfers_->Write(part.memory, PackedBytes(type, rows, columns),
                                             tile_bytes, fill, control));
    return part;
  }

  std::unique_ptr<VulkanDevice> device_;
  MemoryPool memory_;
  std::unique_ptr<KernelSet> kernels_;
  std::unique_ptr<BindingSets> sets_;
  std::unique_ptr<StepQueue> queue_;
  std::unique_ptr<Transfers> transfers_;
  std::unique_ptr<StepBuilder> builder_;
  MemoryRange step_memory_;
  BackendInfo info_;
  std::uint32_t max_page_count_ = 0;  // of the largest cache so far
  std::uint64_t dispatches_ = 0;
};

// 0: no cap.
std::uint64_t SmallerCap(std::uint64_t a, std::uint64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

std::uint64_t MemoryCap(const VulkanBackendOptions& options, VulkanDeviceType type) {
  const bool shares_memory =
      type == VulkanDeviceType::kIntegrated || type == VulkanDeviceType::kCpu;
  return SmallerCap(options.max_memory_bytes, shares_memory ? options.max_machine_memory_bytes : 0);
}

std::vector<VulkanDeviceInfo> Describe(const std::vector<VkPhysicalDevice>& devices) {
  std::vector<VulkanDeviceInfo> infos;
  for (std::uint32_t i = 0; i < devices.size(); ++i) infos.push_back(DescribeDevice(i, devices[i]));
  return infos;
}

}  // namespace

Result<std::vector<VulkanDeviceInfo>> ListVulkanDevices() {
  FALLOW_ASSIGN_OR_RETURN(const auto instance, VulkanInstance::Open(false));
  FALLOW_ASSIGN_OR_RETURN(const auto devices, instance->Devices());
  return Describe(devices);
}

Result<std::unique_ptr<TunedVulkanBackend>> NewTunedVulkanBackend(
    const VulkanBackendOptions& options, const DeviceTuning& tuning) {
  FALLOW_ASSIGN_OR_RETURN(auto instance, VulkanInstance::Open(options.validation));
  FALLOW_ASSIGN_OR_RETURN(const auto devices, instance->Devices());
  const auto infos = Describe(devices);
  FALLOW_ASSIGN_OR_RETURN(const std::uint32_t index, ChooseDevice(infos, options.device));
  DeviceTuning capped = tuning;
  capped.memory_bytes = SmallerCap(tuning.memory_bytes, MemoryCap(options, infos[index].type));
  capped.spare_memory_bytes = std::max(tuning.spare_memory_bytes, options.spare_memory_bytes);
  FALLOW_ASSIGN_OR_RETURN(const DevicePlan plan, PlanDevice(TakeSnapshot(devices[index]), capped));
  FALLOW_ASSIGN_OR_RETURN(auto device,
                          VulkanDevice::Open(std::move(instance), devices[index], plan));
  return VulkanBackend::Create(std::move(device), infos[index], options.kernels);
}

Result<std::unique_ptr<Backend>> NewVulkanBackend(const VulkanBackendOptions& options) {
  return NewTunedVulkanBackend(options, {});
}

}  // namespace fallow::engine
