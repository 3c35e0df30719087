#include "engine/vulkan/vulkan_backend.h"

#include <fmt/format.h>

#include <algorithm>
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
#include "engine/vulkan/tuned_backend.h"
#include "engine/vulkan/vulkan_storage.h"
#include "engine/vulkan/weight_layout.h"

namespace fallow::engine {
namespace {

// What passes through staging memory at once.
constexpr std::uint64_t kStagingBytes = std::uint64_t{4} << 20;

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
  using Backend::NewTensor;
  static Result<std::unique_ptr<VulkanBackend>> Create(std::unique_ptr<VulkanDevice> device,
                                                       const VulkanDeviceInfo& about) {
    std::unique_ptr<VulkanBackend> self(new VulkanBackend(std::move(device)));
    FALLOW_ASSIGN_OR_RETURN(self->kernels_, KernelSet::Create(*self->device_));
    self->sets_ = std::make_unique<BindingSets>(*self->device_, *self->kernels_, self->memory_);
    FALLOW_ASSIGN_OR_RETURN(self->queue_,
                            StepQueue::Create(*self->device_, *self->kernels_, *self->sets_));
    self->builder_ =
        std::make_unique<StepBuilder>(self->device_->plan(), *self->kernels_, self->memory_);
    self->info_ = {.vulkan = true,
                   .processor = about.name,
                   .driver = about.driver,
                   .memory_bytes = self->device_->plan().memory_bytes};
    return self;
  }

  const BackendInfo& info() const override { return info_; }

  VulkanCounters counters() const override {
    return {.submissions = queue_->submissions(),
            .dispatches = dispatches_,
            .validation_messages = device_->instance().validation_messages()};
  }

  Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                            Int8Forms) override {
    FALLOW_RETURN_IF_ERROR(CheckColumns("tensor", columns));
    const std::uint64_t bytes = VulkanTensor::Bytes(rows, columns);
    FALLOW_ASSIGN_OR_RETURN(auto memory, AllocateZeros(bytes, "a tensor"));
    return std::make_unique<VulkanTensor>(rows, columns, std::move(memory));
  }

  Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                            std::uint32_t columns, ByteView data) override {
    FALLOW_CHECK(type != WeightType::kQ8_0 || columns % kQuantBlock == 0);
    FALLOW_CHECK(data.size() == rows * WeightRowBytes(type, columns));
    FALLOW_RETURN_IF_ERROR(CheckColumns("matrix", columns));
    if (rows > kMaxOutputs)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("matrix of {} rows, the limit is {}", rows, kMaxOutputs));
    const std::uint64_t tile_bytes = PackedBytes(type, kTileOutputs, columns);
    const std::uint64_t tiles_per_part = device_->plan().max_range_bytes / tile_bytes;
    if (tiles_per_part == 0)
      return Fail(
          ErrorCode::kResourceExhausted,
          fmt::format(
              "matrix: {} rows of {} columns are {} bytes, this device binds at most {} at once",
              kTileOutputs, columns, tile_bytes, device_->plan().max_range_bytes));
    const auto rows_per_part = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(tiles_per_part * kTileOutputs, kMaxOutputs));
    auto matrix = std::make_unique<VulkanMatrix>(type, rows, columns);
    for (std::uint32_t first = 0; first < rows; first += rows_per_part) {
      FALLOW_ASSIGN_OR_RETURN(MatrixPart part,
                              LoadPart(type, first, std::min(rows_per_part, rows - first), columns,
                                       data.subspan(first * WeightRowBytes(type, columns))));
      matrix->parts.push_back(std::move(part));
    }
    return matrix;
  }

  Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) override {
    FALLOW_CHECK(shape.head_size > 0 && shape.head_size <= kMaxHeadSize);
    auto cache = std::make_unique<VulkanKvCache>(shape);
    FALLOW_ASSIGN_OR_RETURN(cache->keys, AllocateZeros(cache->WordBytes(), "a cache's keys"));
    FALLOW_ASSIGN_OR_RETURN(cache->values, AllocateZeros(cache->WordBytes(), "a cache's values"));
    FALLOW_ASSIGN_OR_RETURN(cache->key_scales,
                            AllocateZeros(cache->ScaleBytes(), "a cache's scales"));
    FALLOW_ASSIGN_OR_RETURN(cache->value_scales,
                            AllocateZeros(cache->ScaleBytes(), "a cache's scales"));
    max_page_count_ = std::max(max_page_count_, shape.page_count);
    return cache;
  }

  Status Upload(Tensor& tensor, std::span<const float> values) override {
    VulkanTensor& own = Own(tensor);
    const std::size_t columns = own.columns();
    FALLOW_CHECK(columns > 0 && values.size() % columns == 0 &&
                 values.size() / columns <= own.rows());
    const std::size_t row_bytes = own.stride() * sizeof(float);
    return Write(own.memory(), values.size() / columns * row_bytes, row_bytes,
                 [&](std::uint64_t offset, std::span<std::uint8_t> out) {
                   std::ranges::fill(out, std::uint8_t{0});
                   for (std::size_t at = 0; at < out.size(); at += row_bytes)
                     std::memcpy(out.data() + at,
                                 values.data() + (offset + at) / row_bytes * columns,
                                 columns * sizeof(float));
                   return Status{};
                 });
  }

  Status Download(const Tensor& tensor, std::uint32_t rows, std::span<float> values) override {
    const VulkanTensor& own = Own(tensor);
    FALLOW_CHECK(rows <= own.rows() && values.size() == std::size_t{rows} * own.columns());
    const std::size_t row_bytes = own.stride() * sizeof(float);
    return Read(own.memory(), rows * row_bytes, row_bytes,
                [&](std::uint64_t offset, ByteView bytes) {
                  for (std::size_t at = 0; at < bytes.size(); at += row_bytes)
                    std::memcpy(values.data() + (offset + at) / row_bytes * own.columns(),
                                bytes.data() + at, own.columns() * sizeof(float));
                });
  }

  Status BeginStep(const StepRows& rows) override { return builder_->Begin(rows, max_page_count_); }
  void Embed(const Matrix& table, EmbedBy, Tensor& out) override { builder_->Embed(Own(table), Own(out)); }
  void RmsNorm(const Tensor& x, const Tensor& weight, float epsilon, Tensor& out,
               std::uint32_t rows) override {
    builder_->RmsNorm(Own(x), Own(weight), epsilon, Own(out), rows);
  }
  void MatMul(const Matrix& weights, const Tensor& x, Tensor& out, std::uint32_t rows) override {
    builder_->MatMul(Own(weights), OwnState(x), Own(out), rows);
  }
  void Rope(Tensor& x, const Tensor& table, const RotaryShape& shape) override {
    const std::uint32_t head_size = shape.head_size;
    builder_->Rope(Own(x), Own(table), head_size);
  }
  void StoreKv(const Tensor& keys, const Tensor& values, KvCache& cache) override {
    builder_->StoreKv(Own(keys), Own(values), static_cast<VulkanKvCache&>(cache));
  }
  void Attention(const Tensor& q, const KvCache& cache, const AttentionShape& shape,
                 Tensor& out) override {
    builder_->Attention(Own(q), static_cast<const VulkanKvCache&>(cache), shape, Own(out));
  }
  void Add(Tensor& x, const Tensor& y) override { builder_->Add(Own(x), Own(y)); }
  void SiluMul(Tensor& gate, const Tensor& up) override { builder_->SiluMul(Own(gate), Own(up)); }
  void GatherRows(const Tensor& x, std::span<const std::uint32_t> source_rows,
                  Tensor& out) override {
    builder_->GatherRows(Own(x), source_rows, Own(out));
  }

  void LayerNorm(const Tensor&, const Tensor&, const Tensor&, float, Tensor&,
                 std::uint32_t) override {
    FALLOW_UNREACHABLE();
  }
  void AddRow(Tensor&, const Tensor&) override { FALLOW_UNREACHABLE(); }
  void Scale(Tensor&, float) override { FALLOW_UNREACHABLE(); }
  void GeluMul(Tensor&, const Tensor&) override { FALLOW_UNREACHABLE(); }
  void GeluErf(Tensor&) override { FALLOW_UNREACHABLE(); }
  void Softcap(Tensor&, float, std::uint32_t) override { FALLOW_UNREACHABLE(); }
  std::uint64_t TensorBytes(std::uint32_t, std::uint32_t, Int8Forms) const override { return 0; }
  std::uint64_t MatrixBytes(WeightType, std::uint32_t, std::uint32_t) const override { return 0; }
  std::uint64_t KvCacheBytes(const KvShape&) const override { return 0; }
  std::uint64_t StepBytes(const AttentionShape&, std::uint32_t, std::uint32_t) const override {
    return 0;
  }
  std::uint64_t used_bytes() const override { return 0; }

  Status Finish(const StopFlag& stop) override {
    Status status = builder_->status();
    if (status.has_value() && !builder_->dispatches().empty()) status = RunStep(stop);
    builder_->Clear();
    return status;
  }

 private:
  explicit VulkanBackend(std::unique_ptr<VulkanDevice> device)
      : device_(std::move(device)), memory_(*device_) {}

  std::uint64_t staging_bytes() const {
    return std::min(kStagingBytes, device_->plan().max_range_bytes);
  }

  static Status CheckColumns(std::string_view what, std::uint32_t columns) {
    if (columns > 0 && columns <= kMaxColumns) return {};
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} of {} columns, they may be 1 to {}", what, columns, kMaxColumns));
  }

  Status RunStep(const StopFlag& stop) {
    const auto words = builder_->step_words();
    const std::uint64_t bytes = words.size() * sizeof(std::uint32_t);
    if (step_memory_.size() < bytes) {
      step_memory_ = {};
      FALLOW_ASSIGN_OR_RETURN(
          step_memory_, memory_.Allocate(MemoryKind::kUpload, std::max(bytes, staging_bytes()),
                                         "a step's positions and pages"));
    }
    // Offsets of a step's words count from the first byte of a block.
    FALLOW_CHECK(step_memory_.offset() == 0);
    std::memcpy(step_memory_.mapped(), words.data(), bytes);
    dispatches_ += builder_->dispatches().size();
    return queue_->Run(builder_->dispatches(), step_memory_.block(), stop);
  }

  Result<MemoryRange> AllocateZeros(std::uint64_t bytes, std::string_view what) {
    FALLOW_ASSIGN_OR_RETURN(auto memory, memory_.Allocate(MemoryKind::kDevice, bytes, what));
    if (memory.mapped() != nullptr) {
      std::memset(memory.mapped(), 0, memory.size());
    } else {
      FALLOW_RETURN_IF_ERROR(
          queue_->FillWithZeros(memory_.buffer(memory.block()), memory.offset(), memory.size()));
    }
    return memory;
  }

  Result<MatrixPart> LoadPart(WeightType type, std::uint32_t first_row, std::uint32_t rows,
                              std::uint32_t columns, ByteView data) {
    MatrixPart part{.first_row = first_row, .rows = rows};
    FALLOW_ASSIGN_OR_RETURN(
        part.memory,
        memory_.Allocate(MemoryKind::kDevice, PackedBytes(type, rows, columns), "weights"));
    const std::uint64_t tile_bytes = PackedBytes(type, kTileOutputs, columns);
    FALLOW_RETURN_IF_ERROR(Write(
        part.memory, PackedBytes(type, rows, columns), tile_bytes,
        [&](std::uint64_t offset, std::span<std::uint8_t> out) {
          const auto first = static_cast<std::uint32_t>(offset / tile_bytes * kTileOutputs);
          const auto most = static_cast<std::uint32_t>(out.size() / tile_bytes * kTileOutputs);
          const std::uint32_t count = std::min(rows - first, most);
          return PackWeights(type, first_row + first, count, columns,
                             data.subspan(first * WeightRowBytes(type, columns)), out);
        }));
    return part;
  }

  // Fills the first `bytes` of `memory` by `fill(offset, out)`, called for runs of whole units.
  template <class Fill>
  Status Write(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes,
               Fill fill) {
    if (bytes == 0) return {};
    if (memory.mapped() != nullptr) return fill(0, std::span(memory.mapped(), bytes));
    const std::uint64_t most = std::max(unit_bytes, staging_bytes() / unit_bytes * unit_bytes);
    FALLOW_ASSIGN_OR_RETURN(
        const auto staging,
        memory_.Allocate(MemoryKind::kUpload, std::min(most, bytes), "staging memory"));
    for (std::uint64_t offset = 0; offset < bytes; offset += most) {
      const std::uint64_t count = std::min(most, bytes - offset);
      FALLOW_RETURN_IF_ERROR(fill(offset, std::span(staging.mapped(), count)));
      FALLOW_RETURN_IF_ERROR(queue_->Copy(memory_.buffer(staging.block()), staging.offset(),
                                          memory_.buffer(memory.block()), memory.offset() + offset,
                                          count));
    }
    return {};
  }

  // Hands the first `bytes` of `memory` to `take(offset, bytes)` in runs of whole units.
  template <class Take>
  Status Read(const MemoryRange& memory, std::uint64_t bytes, std::uint64_t unit_bytes, Take take) {
    if (bytes == 0) return {};
    if (memory.mapped() != nullptr && device_->plan().device_memory_cached) {
      take(0, ByteView(memory.mapped(), bytes));
      return {};
    }
    const std::uint64_t most = std::max(unit_bytes, staging_bytes() / unit_bytes * unit_bytes);
    if (readback_.size() < std::min(most, bytes)) {
      readback_ = {};
      FALLOW_ASSIGN_OR_RETURN(readback_,
                              memory_.Allocate(MemoryKind::kReadback, most, "readback memory"));
    }
    for (std::uint64_t offset = 0; offset < bytes; offset += most) {
      const std::uint64_t count = std::min(most, bytes - offset);
      FALLOW_RETURN_IF_ERROR(queue_->Copy(memory_.buffer(memory.block()), memory.offset() + offset,
                                          memory_.buffer(readback_.block()), readback_.offset(),
                                          count));
      take(offset, ByteView(readback_.mapped(), count));
    }
    return {};
  }

  std::unique_ptr<VulkanDevice> device_;
  MemoryPool memory_;
  std::unique_ptr<KernelSet> kernels_;
  std::unique_ptr<BindingSets> sets_;
  std::unique_ptr<StepQueue> queue_;
  std::unique_ptr<StepBuilder> builder_;
  MemoryRange step_memory_;
  MemoryRange readback_;
  BackendInfo info_;
  std::uint32_t max_page_count_ = 0;  // of the largest cache so far
  std::uint64_t dispatches_ = 0;
};

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
  FALLOW_ASSIGN_OR_RETURN(const DevicePlan plan, PlanDevice(TakeSnapshot(devices[index]), tuning));
  FALLOW_ASSIGN_OR_RETURN(auto device,
                          VulkanDevice::Open(std::move(instance), devices[index], plan));
  return VulkanBackend::Create(std::move(device), infos[index]);
}

Result<std::unique_ptr<Backend>> NewVulkanBackend(const VulkanBackendOptions& options) {
  return NewTunedVulkanBackend(options, {});
}

}  // namespace fallow::engine
