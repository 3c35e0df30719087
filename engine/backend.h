// A Backend computes a transformer's operators under the arithmetic contract (docs/ARITHMETIC.md).
//
// Every implementation gives the same bits for every operator: the CPU backend is the contract in
// plain C++, the others must equal it (tests/conformance, tests/golden). A model is written once
// against these operators.
//
// Use: create tensors and matrices at load; for each step BeginStep, any operators in data-flow
// order, then Finish, which may run all of them only then. Operators read and write device tensors;
// only Upload and Download touch host memory. A tensor is a row-major array of `rows` rows; a step
// may use fewer rows than it holds. Threading: one thread at a time; a
// step is stopped and paced from others through its StepControl.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/step_control.h"
#include "engine/weight_format.h"

namespace fallow::engine {

// Positions of a sequence are kept in pages of this many, the chunk of the contract's attention.
inline constexpr std::uint32_t kPagePositions = 256;
// Values that share one int8 scale.
inline constexpr std::uint32_t kQuantBlock = 32;

// fp32 values on the device. Destroyed before its backend, which takes no time.
class Tensor {
 public:
  virtual ~Tensor() = default;
  virtual std::uint32_t rows() const = 0;
  virtual std::uint32_t columns() const = 0;
};

// Weights on the device, in whatever layout the backend's kernels like. `rows` outputs, `columns`
// inputs.
class Matrix {
 public:
  virtual ~Matrix() = default;
  virtual WeightType type() const = 0;
  virtual std::uint32_t rows() const = 0;
  virtual std::uint32_t columns() const = 0;
};

// int8 keys and values with a scale per 32 values of a head, for one layer, in pages of 256
// positions.
class KvCache {
 public:
  virtual ~KvCache() = default;
};

struct KvShape {
  std::uint32_t page_count = 0;
  std::uint32_t kv_head_count = 0;
  std::uint32_t head_size = 0;  // values of a head; padded with zeros to a multiple of 32 inside
};

// Where the rows of a step stand. Row r is position `positions[r]` of a sequence whose position p
// is kept at place p % 256 of page `pages[r * pages_per_row + p / 256]`.
struct StepRows {
  std::span<const std::uint32_t> tokens;
  std::span<const std::uint32_t> positions;
  std::span<const std::uint32_t> pages;
  std::uint32_t pages_per_row = 0;
  // The last position that row r sees, for models that look ahead; empty: its own.
  std::span<const std::uint32_t> last_seen;
  // The row's place in rotary tables; empty: its position.
  std::span<const std::uint32_t> rotary_places;

  std::uint32_t count() const { return static_cast<std::uint32_t>(tokens.size()); }
};

struct AttentionShape {
  std::uint32_t head_count = 0;
  std::uint32_t kv_head_count = 0;  // divides head_count
  std::uint32_t head_size = 0;
  std::uint32_t scale_divisor = 0;  // scores are multiplied by 1 / sqrt of this; 0: head_size
  std::uint32_t window = 0;         // a row sees its own position and window - 1 before; 0: all
  float softcap = 0;                // score = cap * tanh(score / cap); 0: none
};

// Which values of a head turn together.
enum class RotaryPairs : std::uint8_t {
  kNeighbours,  // 2i and 2i + 1
  kHalves,      // i and i + rotary_size / 2
};
struct RotaryShape {
  std::uint32_t head_size = 0;
  std::uint32_t rotary_size = 0;  // the first values of a head turn, the rest stay; even
  RotaryPairs pairs = RotaryPairs::kNeighbours;
};

// What an embedding table is looked up by.
enum class EmbedBy : std::uint8_t { kToken, kPosition };

// Int8 forms that a tensor has room for: products with integer weights read those. Ignored where
// the columns are no whole blocks.
struct Int8Forms {
  bool per_32 = true;
  bool per_256 = true;
};

struct BackendInfo {
  bool vulkan = false;
  std::string processor;  // "AVX-512 VNNI, 2 threads" or the Vulkan device's name
  std::string driver;
  std::uint64_t memory_bytes = 0;  // what may be allocated
  // Of a Vulkan device: where it sits ("0000:01:00.0"; empty if it has no such address), the
  // priority of our work among all that use it ("low", "default"), and whether it times slices
  // itself.
  std::string pci_address;
  std::string queue_priority;
  bool timestamps = false;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const BackendInfo& info() const = 0;

  // Allocation and loading.
  // -------------------------------------------------------------------------------------
  // kResourceExhausted, naming the size, when the device has no room. kCancelled, with nothing
  // made, when `control` is stopped meanwhile: it is looked at between pieces of a few
  // milliseconds.
  virtual Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                                    Int8Forms forms,
                                                    const StepControl& control) = 0;
  // `data`: rows * WeightRowBytes(type, columns) bytes as in GGUF; need not outlive the call.
  // Refuses Inf and NaN (kInvalidArgument).
  virtual Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                                    std::uint32_t columns, ByteView data,
                                                    const StepControl& control) = 0;
  virtual Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape,
                                                      const StepControl& control) = 0;
  // The same, which nobody stops.
  Result<std::unique_ptr<Tensor>> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                            Int8Forms forms = {}) {
    return NewTensor(rows, columns, forms, StepControl());
  }
  Result<std::unique_ptr<Matrix>> NewMatrix(WeightType type, std::uint32_t rows,
                                            std::uint32_t columns, ByteView data) {
    return NewMatrix(type, rows, columns, data, StepControl());
  }
  Result<std::unique_ptr<KvCache>> NewKvCache(const KvShape& shape) {
    return NewKvCache(shape, StepControl());
  }
  // Device memory that each of the above takes, and that all of them hold now.
  virtual std::uint64_t TensorBytes(std::uint32_t rows, std::uint32_t columns,
                                    Int8Forms forms) const = 0;
  virtual std::uint64_t MatrixBytes(WeightType type, std::uint32_t rows,
                                    std::uint32_t columns) const = 0;
  virtual std::uint64_t KvCacheBytes(const KvShape& shape) const = 0;
  // The most that steps of such attention take beside tensors and caches, all layers together.
  virtual std::uint64_t StepBytes(const AttentionShape& shape, std::uint32_t max_rows,
                                  std::uint32_t pages_per_row) const = 0;
  virtual std::uint64_t used_bytes() const = 0;

  // The system takes longer to take gigabytes back than a stop may take. So what is destroyed
  // leaves its memory to the backend, and GiveBack gives it back, between pieces of a few
  // milliseconds: kCancelled when it was stopped, and the next call goes on. Each of the above that
  // makes something does that first.
  virtual Status GiveBack(const StepControl& control) = 0;
  // Memory that is not given back yet, beside the used.
  virtual std::uint64_t discarded_bytes() const = 0;

  // Not within a step. Row-major, `rows` × columns values from the first row on. kCancelled, with
  // the tensor's values undefined, when `control` is stopped meanwhile.
  virtual Status Upload(Tensor& tensor, std::span<const float> values,
                        const StepControl& control) = 0;
  Status Upload(Tensor& tensor, std::span<const float> values) {
    return Upload(tensor, values, StepControl());
  }
  virtual Status Download(const Tensor& tensor, std::uint32_t rows, std::span<float> values) = 0;

  // A step.
  // -----------------------------------------------------------------------------------------------------
  // Fails (kInvalidArgument) on rows beyond the caches' pages. The spans are copied.
  virtual Status BeginStep(const StepRows& rows) = 0;

  // The step's rows are used unless a count is given. `out` never is an input unless said.
  // out[r] = the row of `table` for the row's token or position, widened to fp32 and snapped.
  virtual void Embed(const Matrix& table, EmbedBy by, Tensor& out) = 0;
  // Each group of weight.columns() values, which divide x.columns(): a row, or each head of one.
  // out = snap((x * rsqrt(mean of squares + epsilon)) * weight). weight: 1 row. `out` may be `x`.
  virtual void RmsNorm(const Tensor& x, const Tensor& weight, float epsilon, Tensor& out,
                       std::uint32_t rows) = 0;
  // out[r] = snap(((x - mean) * rsqrt(variance + epsilon)) * weight + bias), over x.columns().
  // weight and bias: 1 row each.
  virtual void LayerNorm(const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon,
                         Tensor& out, std::uint32_t rows) = 0;
  // out[r][n] = snap(sum over k of weights[n][k] * x[r][k]) as the contract orders it for the
  // weights' type; integer types read x's int8 form, which is made first where it is not current.
  virtual void MatMul(const Matrix& weights, const Tensor& x, Tensor& out, std::uint32_t rows) = 0;
  // Rotates pairs of each head of x in place. table: a row for each rotary place, rotary_size
  // columns of (cos, sin) pairs. x.columns() = heads * head_size.
  virtual void Rope(Tensor& x, const Tensor& table, const RotaryShape& shape) = 0;
  // Quantises each row's keys and values per 32 and stores them at the row's place in its pages.
  virtual void StoreKv(const Tensor& keys, const Tensor& values, KvCache& cache) = 0;
  // out[r] = attention of q[r] over the positions of its sequence that it sees, all heads: up to
  // last_seen[r], and within the shape's window. Those must have been stored, in this step or
  // before.
  virtual void Attention(const Tensor& q, const KvCache& cache, const AttentionShape& shape,
                         Tensor& out) = 0;
  // x = snap(x + y), in place.
  virtual void Add(Tensor& x, const Tensor& y) = 0;
  // x = snap(x + row) for every row of x, in place. row: 1 row.
  virtual void AddRow(Tensor& x, const Tensor& row) = 0;
  // x = snap(x * factor), in place.
  virtual void Scale(Tensor& x, float factor) = 0;
  // gate = snap(silu(gate) * up), gate = snap(gelu(gate) * up), in place.
  virtual void SiluMul(Tensor& gate, const Tensor& up) = 0;
  virtual void GeluMul(Tensor& gate, const Tensor& up) = 0;
  // x = snap(gelu_erf(x)), in place.
  virtual void GeluErf(Tensor& x) = 0;
  // x = snap(cap * tanh(x / cap)), in place, of the first `rows` rows.
  virtual void Softcap(Tensor& x, float cap, std::uint32_t rows) = 0;
  // out[i] = x[source_rows[i]].
  virtual void GatherRows(const Tensor& x, std::span<const std::uint32_t> source_rows,
                          Tensor& out) = 0;

  // Runs what has been recorded, at the pace that `control` asks for; what a driver must compile
  // for it is compiled first. kCancelled if it was stopped at a dispatch boundary or between two
  // kernels that are compiled: what the step wrote is then undefined, and everything a later step
  // would read must be computed again.
  virtual Status Finish(const StepControl& control) = 0;
};

}  // namespace fallow::engine
