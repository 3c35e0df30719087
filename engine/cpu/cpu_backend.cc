#include "engine/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <thread>
#include <unordered_set>

#include "base/check.h"
#include "engine/cpu/cpu_storage.h"
#include "engine/cpu/kernel_set.h"
#include "engine/cpu/step_executor.h"
#include "engine/cpu/step_program.h"
#include "engine/cpu/thread_pool.h"

namespace fallow::engine {
namespace {

// Where the system does not say what memory is free.
constexpr std::uint64_t kAssumedMemoryBytes = std::uint64_t{4} << 30;

std::uint64_t AvailableMemoryBytes() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib; std::getline(file, unit)) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return kAssumedMemoryBytes;
}

CpuTensor& Own(Tensor& tensor) {
  return static_cast<CpuTensor&>(tensor);
}
const CpuTensor& Own(const Tensor& tensor) {
  return static_cast<const CpuTensor&>(tensor);
}
const CpuMatrix& Own(const Matrix& matrix) {
  return static_cast<const CpuMatrix&>(matrix);
}

class CpuBackend final : public Backend {
 public:
  using Backend::NewTensor;
  explicit CpuBackend(const CpuBackendOptions& options)
      : kernels_(options.path == CpuPath::kPlain ? PlainKernels() : BestKernels()),
        pool_(options.thread_count != 0 ? options.thread_count
                                        : std::max(1u, std::thread::hardware_concurrency())),
        budget_(options.memory_bytes != 0 ? options.memory_bytes : AvailableMemoryBytes()) {
    info_.processor = fmt::format("{}, {} thread{}", kernels_.name, pool_.thread_count(),
                                  pool_.thread_count() == 1 ? "" : "s");
    info_.driver = "none";
    info_.memory_bytes = budget_.limit_bytes();
  }

  const BackendInfo& info() const override { return info_; }

  Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                            Int8Forms) override {
    FALLOW_RETURN_IF_ERROR(Take(CpuTensor::BytesFor(rows, columns), "a tensor"));
    auto tensor = std::make_unique<CpuTensor>(budget_, rows, columns);
    if (!tensor->allocated()) return OutOfMemory(CpuTensor::BytesFor(rows, columns), "a tensor");
    return tensor;
  }

  Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                            std::uint32_t columns, ByteView data) override {
    FALLOW_CHECK(type != WeightType::kQ8_0 || columns % kQuantBlock == 0);
    const std::uint64_t bytes = CpuMatrix::BytesFor(type, rows, columns);
    FALLOW_RETURN_IF_ERROR(Take(bytes, "weights"));
    auto matrix = std::make_unique<CpuMatrix>(budget_, type, rows, columns, kernels_.weight_layout);
    if (!matrix->allocated()) return OutOfMemory(bytes, "weights");
    FALLOW_RETURN_IF_ERROR(matrix->Fill(data));
    return matrix;
  }

  Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) override {
    FALLOW_CHECK(shape.head_size > 0 && shape.head_size <= kMaxHeadSize);
    const std::uint64_t bytes = CpuKvCache::BytesFor(shape);
    FALLOW_RETURN_IF_ERROR(Take(bytes, "a cache"));
    auto cache = std::make_unique<CpuKvCache>(budget_, shape);
    if (!cache->allocated()) return OutOfMemory(bytes, "a cache");
    max_page_count_ = std::max(max_page_count_, shape.page_count);
    return cache;
  }

  Status Upload(Tensor& tensor, std::span<const float> values) override {
    FALLOW_CHECK(values.size() <= Own(tensor).values.size());
    std::ranges::copy(values, Own(tensor).values.data());
    return {};
  }

  Status Download(const Tensor& tensor, std::uint32_t rows, std::span<float> values) override {
    const std::size_t count = std::size_t{rows} * tensor.columns();
    FALLOW_CHECK(rows <= tensor.rows() && values.size() == count);
    std::copy_n(Own(tensor).values.data(), count, values.data());
    return {};
  }

  Status BeginStep(const StepRows& rows) override {
    Forget();
    step_status_ = {};
    FALLOW_CHECK(rows.positions.size() == rows.count() &&
                 rows.pages.size() == std::size_t{rows.count()} * rows.pages_per_row);
    max_page_ = 0;
    for (std::uint32_t r = 0; r < rows.count(); ++r) {
      const std::uint32_t last = rows.positions[r] / kPagePositions;
      if (last >= rows.pages_per_row) return BeyondPages(r, rows.positions[r]);
      for (std::uint32_t i = 0; i <= last; ++i) {
        const std::uint32_t page = rows.pages[std::size_t{r} * rows.pages_per_row + i];
        if (page >= max_page_count_) return BeyondPages(r, rows.positions[r]);
        max_page_ = std::max(max_page_, page);
      }
    }
    program_.tokens.assign(rows.tokens.begin(), rows.tokens.end());
    program_.positions.assign(rows.positions.begin(), rows.positions.end());
    program_.pages.assign(rows.pages.begin(), rows.pages.end());
    program_.pages_per_row = rows.pages_per_row;
    program_.one_row_each = OneRowEach(rows);
    return {};
  }

  void Embed(const Matrix& table, EmbedBy, Tensor& out) override {
    FALLOW_CHECK(table.columns() == out.columns() && row_count() <= out.rows());
    for (const std::uint32_t token : program_.tokens) {
      if (token < table.rows()) continue;
      FailStep(fmt::format("token {} is beyond the table of {} rows", token, table.rows()));
      return;
    }
    Append({.kind = OpKind::kEmbed, .rows = row_count(), .out = &Own(out), .weights = &Own(table)});
  }

  void RmsNorm(const Tensor& x, const Tensor& weight, float epsilon, Tensor& out,
               std::uint32_t rows) override {
    FALLOW_CHECK(x.columns() == out.columns() && x.columns() == weight.columns());
    FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
    Append({.kind = OpKind::kRmsNorm,
            .rows = rows,
            .x = &Own(x),
            .y = &Own(weight),
            .out = &Own(out),
            .epsilon = epsilon});
  }

  void MatMul(const Matrix& weights, const Tensor& x, Tensor& out, std::uint32_t rows) override {
    FALLOW_CHECK(weights.columns() == x.columns() && weights.rows() == out.columns());
    FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
    // The int8 form is part of a tensor's state, not of its value: products that share an input
    // share it.
    auto& input = const_cast<CpuTensor&>(Own(x));
    if (weights.type() == WeightType::kQ8_0 && input.quantised_rows < rows) {
      program_.Append({.kind = OpKind::kQuantise, .rows = rows, .out = &input});
      input.quantised_rows = rows;
    }
    Append({.kind = OpKind::kMatMul,
            .rows = rows,
            .x = &input,
            .out = &Own(out),
            .weights = &Own(weights)});
  }

  void Rope(Tensor& x, const Tensor& table, const RotaryShape& shape) override {
    const std::uint32_t head_size = shape.head_size;
    FALLOW_CHECK(table.columns() == head_size && x.columns() % head_size == 0);
    for (const std::uint32_t position : program_.positions) {
      if (position < table.rows()) continue;
      FailStep(fmt::format("position {} is beyond the table of {} rows", position, table.rows()));
      return;
    }
    Append({.kind = OpKind::kRope,
            .rows = row_count(),
            .y = &Own(table),
            .out = &Own(x),
            .head_size = head_size});
  }

  void StoreKv(const Tensor& keys, const Tensor& values, KvCache& cache) override {
    auto& own_cache = static_cast<CpuKvCache&>(cache);
    const KvShape& shape = own_cache.shape();
    FALLOW_CHECK(keys.columns() == shape.kv_head_count * shape.head_size);
    FALLOW_CHECK(values.columns() == keys.columns());
    if (!HoldsPages(shape)) return;
    Append({.kind = OpKind::kStoreKv,
            .rows = row_count(),
            .x = &Own(keys),
            .y = &Own(values),
            .cache = own_cache.View()});
  }

  void Attention(const Tensor& q, const KvCache& cache, const AttentionShape& shape,
                 Tensor& out) override {
    // Operators name the cache they only read const; a view serves reading and writing.
    auto& own_cache = const_cast<CpuKvCache&>(static_cast<const CpuKvCache&>(cache));
    FALLOW_CHECK(shape.kv_head_count == own_cache.shape().kv_head_count &&
                 shape.head_size == own_cache.shape().head_size);
    FALLOW_CHECK(shape.head_count % shape.kv_head_count == 0);
    FALLOW_CHECK(q.columns() == shape.head_count * shape.head_size && out.columns() == q.columns());
    if (!HoldsPages(own_cache.shape())) return;
    Append({.kind = OpKind::kAttention,
            .rows = row_count(),
            .x = &Own(q),
            .out = &Own(out),
            .cache = own_cache.View(),
            .head_count = shape.head_count / shape.kv_head_count});
  }

  void Add(Tensor& x, const Tensor& y) override {
    FALLOW_CHECK(x.columns() == y.columns());
    Append({.kind = OpKind::kAdd, .rows = row_count(), .y = &Own(y), .out = &Own(x)});
  }

  void SiluMul(Tensor& gate, const Tensor& up) override {
    FALLOW_CHECK(gate.columns() == up.columns());
    Append({.kind = OpKind::kSiluMul, .rows = row_count(), .y = &Own(up), .out = &Own(gate)});
  }

  void GatherRows(const Tensor& x, std::span<const std::uint32_t> source_rows,
                  Tensor& out) override {
    const auto count = static_cast<std::uint32_t>(source_rows.size());
    FALLOW_CHECK(x.columns() == out.columns() && count <= out.rows());
    for (const std::uint32_t row : source_rows) FALLOW_CHECK(row < x.rows());
    const auto first = static_cast<std::uint32_t>(program_.source_rows.size());
    program_.source_rows.insert(program_.source_rows.end(), source_rows.begin(), source_rows.end());
    Append({.kind = OpKind::kGatherRows,
            .rows = count,
            .x = &Own(x),
            .out = &Own(out),
            .first_source_row = first});
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
    if (step_status_.has_value()) step_status_ = ExecuteStep(program_, kernels_, pool_, stop);
    Forget();
    return step_status_;
  }

 private:
  std::uint32_t row_count() const { return static_cast<std::uint32_t>(program_.tokens.size()); }

  // Drops what is recorded. Int8 forms are current within a step only.
  void Forget() {
    for (const Op& op : program_.ops) {
      if (op.out != nullptr) op.out->quantised_rows = 0;
    }
    program_.Clear();
  }

  void Append(const Op& op) {
    if (op.out != nullptr) op.out->quantised_rows = 0;
    program_.Append(op);
  }

  // Rows of one sequence share its first page, and no two sequences do.
  static bool OneRowEach(const StepRows& rows) {
    std::unordered_set<std::uint32_t> first_pages;
    for (std::uint32_t r = 0; r < rows.count(); ++r) {
      if (!first_pages.insert(rows.pages[std::size_t{r} * rows.pages_per_row]).second) return false;
    }
    return true;
  }

  void FailStep(std::string message) {
    if (step_status_.has_value()) {
      step_status_ = Fail(ErrorCode::kInvalidArgument, std::move(message));
    }
  }

  bool HoldsPages(const KvShape& shape) {
    if (max_page_ < shape.page_count) return true;
    FailStep(fmt::format("page {} is beyond the cache of {} pages", max_page_, shape.page_count));
    return false;
  }

  static std::unexpected<Error> BeyondPages(std::uint32_t row, std::uint32_t position) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("row {}: position {} is beyond its pages or the caches", row, position));
  }

  std::unexpected<Error> OutOfMemory(std::uint64_t bytes, std::string_view what) const {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("no room for {} of {} bytes within {} bytes of memory", what, bytes,
                            budget_.limit_bytes()));
  }

  Status Take(std::uint64_t bytes, std::string_view what) {
    if (!budget_.Take(bytes)) return OutOfMemory(bytes, what);
    return {};
  }

  const KernelSet& kernels_;
  ThreadPool pool_;
  MemoryBudget budget_;
  BackendInfo info_;
  StepProgram program_;
  Status step_status_;
  std::uint32_t max_page_count_ = 0;  // of the largest cache so far
  std::uint32_t max_page_ = 0;        // of the step's rows
};

}  // namespace

std::unique_ptr<Backend> NewCpuBackend(const CpuBackendOptions& options) {
  return std::make_unique<CpuBackend>(options);
}

}  // namespace fallow::engine
