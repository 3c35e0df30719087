#include "engine/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/check.h"
#include "engine/cpu/cpu_storage.h"
#include "engine/cpu/kernel_set.h"
#include "engine/cpu/step_executor.h"
#include "engine/cpu/step_program.h"
#include "engine/cpu/thread_pool.h"
#include "engine/exact.h"

namespace fallow::engine {
namespace {

// Where the system does not say what memory is free.
constexpr std::uint64_t kAssumedMemoryBytes = std::uint64_t{4} << 30;
// Weights below which another thread's help costs more than it gives.
constexpr std::uint32_t kMinFillValues = 1 << 16;
// Values that are copied between two looks at whether a load is stopped.
constexpr std::size_t kPieceValues = std::size_t{1} << 18;

std::uint64_t AvailableMemoryBytes() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  for (std::uint64_t kib = 0; file >> key >> kib; std::getline(file, unit)) {
    if (key == "MemAvailable:") return kib * 1024;
  }
  return kAssumedMemoryBytes;
}

std::uint64_t MemoryLimit(const CpuBackendOptions& options) {
  const std::uint64_t available = AvailableMemoryBytes();
  const std::uint64_t ours = available - std::min(available, options.spare_memory_bytes);
  return options.memory_bytes != 0 ? std::min(ours, options.memory_bytes) : ours;
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
  using Backend::NewKvCache;
  using Backend::NewMatrix;
  using Backend::NewTensor;
  using Backend::Upload;
  explicit CpuBackend(const CpuBackendOptions& options)
      : kernels_(options.path == CpuPath::kPlain ? PlainKernels() : BestKernels()),
        pool_(options.thread_count != 0 ? options.thread_count
                                        : std::max(1u, std::thread::hardware_concurrency())),
        budget_(MemoryLimit(options)) {
    info_.processor = fmt::format("{}, {} thread{}", kernels_.name, pool_.thread_count(),
                                  pool_.thread_count() == 1 ? "" : "s");
    info_.driver = "none";
    info_.memory_bytes = budget_.limit_bytes();
  }

  const BackendInfo& info() const override { return info_; }

  Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                            Int8Forms forms, const StepControl& control) override {
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    const std::uint64_t bytes = TensorBytes(rows, columns, forms);
    FALLOW_RETURN_IF_ERROR(Take(bytes, "a tensor"));
    auto tensor = std::make_unique<CpuTensor>(budget_, rows, columns, forms);
    if (!tensor->allocated()) return OutOfMemory(bytes, "a tensor");
    return tensor;
  }

  Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                            std::uint32_t columns, ByteView data,
                                            const StepControl& control) override {
    FALLOW_CHECK(columns % FormatOf(type).block_values == 0);
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    const std::uint64_t bytes = MatrixBytes(type, rows, columns);
    FALLOW_RETURN_IF_ERROR(Take(bytes, "weights"));
    auto matrix = std::make_unique<CpuMatrix>(budget_, type, rows, columns, kernels_.weight_layout);
    if (!matrix->allocated()) return OutOfMemory(bytes, "weights");
    FALLOW_RETURN_IF_ERROR(Fill(*matrix, data, control));
    return matrix;
  }

  // A cache costs nothing until rows are stored: the system clears its memory then.
  Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape,
                                              const StepControl& control) override {
    FALLOW_CHECK(shape.head_size > 0 && shape.head_size <= kMaxHeadSize);
    FALLOW_RETURN_IF_ERROR(GiveBack(control));
    const std::uint64_t bytes = KvCacheBytes(shape);
    FALLOW_RETURN_IF_ERROR(Take(bytes, "a cache"));
    auto cache = std::make_unique<CpuKvCache>(budget_, shape);
    if (!cache->allocated()) return OutOfMemory(bytes, "a cache");
    max_page_count_ = std::max(max_page_count_, shape.page_count);
    return cache;
  }

  std::uint64_t TensorBytes(std::uint32_t rows, std::uint32_t columns,
                            Int8Forms forms) const override {
    return CpuTensor::BytesFor(rows, columns, forms);
  }
  std::uint64_t MatrixBytes(WeightType type, std::uint32_t rows,
                            std::uint32_t columns) const override {
    return CpuMatrix::BytesFor(type, rows, columns, kernels_.weight_layout);
  }
  std::uint64_t KvCacheBytes(const KvShape& shape) const override {
    return CpuKvCache::BytesFor(shape);
  }
  // Kernels keep what they work on in their threads' stacks.
  std::uint64_t StepBytes(const AttentionShape&, std::uint32_t, std::uint32_t) const override {
    return 0;
  }
  std::uint64_t used_bytes() const override { return budget_.used_bytes(); }
  std::uint64_t discarded_bytes() const override { return budget_.discarded_bytes(); }
  Status GiveBack(const StepControl& control) override { return budget_.GiveBack(control); }

  Status Upload(Tensor& tensor, std::span<const float> values,
                const StepControl& control) override {
    FALLOW_CHECK(values.size() <= Own(tensor).values.size());
    for (std::size_t first = 0; first < values.size(); first += kPieceValues) {
      FALLOW_RETURN_IF_ERROR(control.GoOn());
      const auto piece = values.subspan(first, std::min(kPieceValues, values.size() - first));
      std::ranges::copy(piece, Own(tensor).values.data() + first);
    }
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
    return program_.rows.Keep(rows, max_page_count_);
  }

  void Embed(const Matrix& table, EmbedBy by, Tensor& out) override {
    FALLOW_CHECK(table.columns() == out.columns() && row_count() <= out.rows());
    const bool by_token = by == EmbedBy::kToken;
    if (!AreWithin(by_token ? program_.rows.tokens() : program_.rows.positions(), table.rows(),
                   by_token ? "token" : "position")) {
      return;
    }
    Append({.kind = OpKind::kEmbed,
            .rows = row_count(),
            .out = &Own(out),
            .weights = &Own(table),
            .embed_by = by});
  }

  void RmsNorm(const Tensor& x, const Tensor& weight, float epsilon, Tensor& out,
               std::uint32_t rows) override {
    FALLOW_CHECK(x.columns() == out.columns() && x.columns() % weight.columns() == 0);
    FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
    Append({.kind = OpKind::kRmsNorm,
            .rows = rows,
            .x = &Input(x),
            .y = &Own(weight),
            .out = &Own(out),
            .number = epsilon});
  }

  void LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon,
                 Tensor& out, std::uint32_t rows) override {
    FALLOW_CHECK(x.columns() == out.columns() && x.columns() == weight.columns() &&
                 x.columns() == bias.columns());
    FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
    Append({.kind = OpKind::kLayerNorm,
            .rows = rows,
            .x = &Input(x),
            .y = &Own(weight),
            .z = &Own(bias),
            .out = &Own(out),
            .number = epsilon});
  }

  void MatMul(const Matrix& weights, const Tensor& x, Tensor& out, std::uint32_t rows) override {
    FALLOW_CHECK(weights.columns() == x.columns() && weights.rows() == out.columns());
    FALLOW_CHECK(rows <= x.rows() && rows <= out.rows());
    CpuTensor& input = Input(x);
    MakeCurrent(input, FormatOf(weights.type()).activations(), rows);
    Append({.kind = OpKind::kMatMul,
            .rows = rows,
            .x = &input,
            .out = &Own(out),
            .weights = &Own(weights)});
  }

  void Rope(Tensor& x, const Tensor& table, const RotaryShape& shape) override {
    FALLOW_CHECK(table.columns() == shape.rotary_size && shape.rotary_size % 2 == 0 &&
                 shape.rotary_size <= shape.head_size && x.columns() % shape.head_size == 0);
    if (!AreWithin(program_.rows.rotary_places(), table.rows(), "position")) return;
    Append({.kind = OpKind::kRope,
            .rows = row_count(),
            .y = &Own(table),
            .out = &Own(x),
            .rotary = shape});
  }

  void StoreKv(const Tensor& keys, const Tensor& values, KvCache& cache) override {
    auto& own_cache = static_cast<CpuKvCache&>(cache);
    const KvShape& shape = own_cache.shape();
    FALLOW_CHECK(keys.columns() == shape.kv_head_count * shape.head_size);
    FALLOW_CHECK(values.columns() == keys.columns());
    if (!HoldsPages(shape)) return;
    Append({.kind = OpKind::kStoreKv,
            .rows = row_count(),
            .x = &Input(keys),
            .y = &Own(values),
            .attention = {.cache = own_cache.View()}});
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
    const std::uint32_t divisor = shape.scale_divisor == 0 ? shape.head_size : shape.scale_divisor;
    Append({.kind = OpKind::kAttention,
            .rows = row_count(),
            .x = &Input(q),
            .out = &Own(out),
            .attention = {.cache = own_cache.View(),
                          .head_count = shape.head_count / shape.kv_head_count,
                          .factor = ExactRsqrt(ExactFloatWide(static_cast<std::int32_t>(divisor))),
                          .cap = CapOf(shape.softcap)},
            .window = shape.window});
  }

  void Add(Tensor& x, const Tensor& y) override {
    FALLOW_CHECK(x.columns() == y.columns());
    AppendInPlace(OpKind::kAdd, x, &y);
  }
  void AddRow(Tensor& x, const Tensor& row) override {
    FALLOW_CHECK(x.columns() == row.columns());
    AppendInPlace(OpKind::kAddRow, x, &row);
  }
  void Scale(Tensor& x, float factor) override {
    Append({.kind = OpKind::kScale, .rows = row_count(), .out = &Own(x), .number = factor});
  }
  void SiluMul(Tensor& gate, const Tensor& up) override {
    FALLOW_CHECK(gate.columns() == up.columns());
    AppendInPlace(OpKind::kSiluMul, gate, &up);
  }
  void GeluMul(Tensor& gate, const Tensor& up) override {
    FALLOW_CHECK(gate.columns() == up.columns());
    AppendInPlace(OpKind::kGeluMul, gate, &up);
  }
  void GeluErf(Tensor& x) override { AppendInPlace(OpKind::kGeluErf, x, nullptr); }
  void Softcap(Tensor& x, float cap, std::uint32_t rows) override {
    FALLOW_CHECK(rows <= x.rows() && cap > 0.0f);
    Append({.kind = OpKind::kSoftcap, .rows = rows, .out = &Own(x), .cap = CapOf(cap)});
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
            .x = &Input(x),
            .out = &Own(out),
            .first_source_row = first});
  }

  Status Finish(const StepControl& control) override {
    if (step_status_.has_value()) step_status_ = ExecuteStep(program_, kernels_, pool_, control);
    Forget();
    return step_status_;
  }

 private:
  std::uint32_t row_count() const { return program_.rows.count(); }

  // A tensor's int8 forms are part of its state, not of its value: products that share an input
  // share them.
  static CpuTensor& Input(const Tensor& x) { return const_cast<CpuTensor&>(Own(x)); }

  // The nearest float to 1 / cap is what the contract multiplies by.
  static ScoreCap CapOf(float cap) { return {cap, cap == 0.0f ? 0.0f : 1.0f / cap}; }

  // Drops what is recorded. Int8 forms are current within a step only.
  void Forget() {
    for (const Op& op : program_.ops) {
      if (op.out != nullptr) op.out->ForgetForms();
    }
    program_.Clear();
  }

  void Append(const Op& op) {
    if (op.out != nullptr) op.out->ForgetForms();
    program_.Append(op);
  }

  void AppendInPlace(OpKind kind, Tensor& x, const Tensor* y) {
    Append({.kind = kind,
            .rows = row_count(),
            .y = y == nullptr ? nullptr : &Own(*y),
            .out = &Own(x)});
  }

  // Makes the int8 form of the first rows, unless it is there.
  void MakeCurrent(CpuTensor& x, ActivationForm form, std::uint32_t rows) {
    FALLOW_CHECK(x.HasForm(form));
    if (form == ActivationForm::kFloat || x.CurrentRows(form) >= rows) return;
    program_.Append({.kind = OpKind::kQuantise, .rows = rows, .out = &x, .form = form});
    x.CurrentRows(form) = rows;
  }

  // Threads fill a part each; of several errors the first row's is told.
  Status Fill(CpuMatrix& matrix, ByteView data, const StepControl& control) {
    const std::uint32_t step = std::max<std::uint32_t>(
        kRowGroup, kMinFillValues / std::max(1u, matrix.columns()) / kRowGroup * kRowGroup);
    const std::uint32_t task_count = (matrix.rows() + step - 1) / step;
    std::vector<Status> results(task_count);
    pool_.Run(task_count, [&](std::uint32_t task) {
      results[task] = control.GoOn();
      if (!results[task].has_value()) return;
      results[task] =
          matrix.FillRows({task * step, std::min(matrix.rows(), (task + 1) * step)}, data);
    });
    for (const Status& result : results) FALLOW_RETURN_IF_ERROR(result);
    return {};
  }

  // Fails the step when one of `places`, which are `what`, is beyond a table.
  bool AreWithin(const std::vector<std::uint32_t>& places, std::uint32_t table_rows,
                 std::string_view what) {
    for (const std::uint32_t place : places) {
      if (place < table_rows) continue;
      FailStep(fmt::format("{} {} is beyond the table of {} rows", what, place, table_rows));
      return false;
    }
    return true;
  }

  void FailStep(std::string message) {
    if (step_status_.has_value()) {
      step_status_ = Fail(ErrorCode::kInvalidArgument, std::move(message));
    }
  }

  bool HoldsPages(const KvShape& shape) {
    const std::uint32_t page = program_.rows.max_page();
    if (page < shape.page_count) return true;
    FailStep(fmt::format("page {} is beyond the cache of {} pages", page, shape.page_count));
    return false;
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
};

}  // namespace

std::unique_ptr<Backend> NewCpuBackend(const CpuBackendOptions& options) {
  return std::make_unique<CpuBackend>(options);
}

}  // namespace fallow::engine
