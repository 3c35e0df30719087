// Times a backend's kernels: products of every weight type alone, and whole steps of a model with
// the demo model's shape and made-up weights.
//
//   fallow-bench-kernels [vulkan|cpu] [packed|float|staging] [types|TYPE…]
//
// `types`, or names of weight types: only products, of all types or these.
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <numeric>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/tuned_backend.h"
#include "tests/support/trying_weights.h"

namespace fallow::engine {
namespace {

using Clock = std::chrono::steady_clock;

const StepControl kNeverStop;
constexpr std::uint32_t kWidth = 256, kHeads = 8, kKvHeads = 4, kHeadSize = 32, kFeedForward = 256,
                        kLayers = 6, kVocabulary = 270, kContext = 256;

template <class T>
T Must(Result<T> result) {
  if (!result.has_value()) fmt::print(stderr, "{}\n", result.error().message);
  FALLOW_CHECK(result.has_value());
  return *std::move(result);
}

void Must(Status status) {
  if (!status.has_value()) fmt::print(stderr, "{}\n", status.error().message);
  FALLOW_CHECK(status.has_value());
}

// Made-up weights, all finite.
Bytes MadeUpWeights(WeightType type, std::uint32_t rows, std::uint32_t columns) {
  std::uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525 + 1013904223; };
  constexpr std::uint32_t kExponents = 12;  // of fp16 scales: far from infinite
  if (FormatOf(type).is_integer())
    return TryingIntegerWeights(
        type, rows, columns, [&] { return next() >> 16 | next() << 16; }, kExponents);
  Bytes bytes(rows * WeightRowBytes(type, columns));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(next() >> 24) & 0x3B;  // no exponent is full
  return bytes;
}

// Seconds of the best of some runs, and what all threads together spent, which a busy machine
// disturbs less.
struct Timing {
  double seconds = 1e9;
  double processor_seconds = 1e9;
};

template <class Work>
Timing Time(Work work) {
  work();
  Timing best;
  double total = 0;
  for (int i = 0; i < 200 && total < 0.3; ++i) {
    const auto start = Clock::now();
    const std::clock_t start_clock = std::clock();
    work();
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    best.seconds = std::min(best.seconds, taken);
    best.processor_seconds = std::min(
        best.processor_seconds, static_cast<double>(std::clock() - start_clock) / CLOCKS_PER_SEC);
    total += taken;
  }
  return best;
}

// A number of products, with each of `weights` in turn.
Timing TimeProducts(Backend& backend, const std::vector<std::unique_ptr<Matrix>>& weights,
                    std::uint32_t product_count, std::uint32_t rows) {
  const auto cache =
      Must(backend.NewKvCache({.page_count = 1, .kv_head_count = 1, .head_size = 32}));
  const auto x = Must(backend.NewTensor(rows, weights[0]->columns()));
  const auto y = Must(backend.NewTensor(rows, weights[0]->rows()));
  const std::vector<std::uint32_t> zeros(rows);
  return Time([&] {
    Must(backend.BeginStep({zeros, zeros, zeros, 1}));
    for (std::uint32_t i = 0; i < product_count; ++i)
      backend.MatMul(*weights[i % weights.size()], *x, *y, rows);
    Must(backend.Finish(kNeverStop));
  });
}

// Products with `matrix_count` matrices: one lies in caches, many are streamed from memory.
void TimeType(Backend& backend, const WeightFormat& format, std::uint32_t outputs,
              std::uint32_t columns, std::uint32_t matrix_count,
              std::initializer_list<std::uint32_t> row_counts) {
  const Bytes bytes = MadeUpWeights(format.type, outputs, columns);
  const double matrix_values = static_cast<double>(outputs) * columns;
  std::vector<std::unique_ptr<Matrix>> weights;
  const std::uint64_t before = backend.used_bytes();
  const auto start = Clock::now();
  for (std::uint32_t i = 0; i < matrix_count; ++i)
    weights.push_back(Must(backend.NewMatrix(format.type, outputs, columns, bytes)));
  const double load_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double matrix_bytes = static_cast<double>(backend.used_bytes() - before) / matrix_count;
  fmt::print("{}, {} of {} x {}: {:.2f} bits a weight, loaded at {:.2f} G weights/s\n", format.name,
             matrix_count, outputs, columns, matrix_bytes * 8 / matrix_values,
             matrix_values * matrix_count / load_seconds / 1e9);
  for (const std::uint32_t rows : row_counts) {
    const std::uint32_t product_count = std::max(8u, matrix_count);
    const Timing timing = TimeProducts(backend, weights, product_count, rows);
    const double seconds = timing.seconds / product_count;
    fmt::print(
        "  {} rows: {:.1f} us a product ({:.1f} of processors), {:.1f} GB/s, {:.1f} GFLOP/s\n",
        rows, seconds * 1e6, timing.processor_seconds / product_count * 1e6,
        matrix_bytes / seconds / 1e9, 2 * matrix_values * rows / seconds / 1e9);
  }
}

void TimeTypes(Backend& backend, std::span<const WeightType> types) {
  for (const WeightType type : types) {
    TimeType(backend, FormatOf(type), 2048, 2048, 1, {1, 8, 32});
    TimeType(backend, FormatOf(type), 2048, 2048, 48, {1});
  }
}

struct Layer {
  std::unique_ptr<Tensor> attention_norm, feed_forward_norm;
  std::unique_ptr<Matrix> q, k, v, o, gate, up, down;
  std::unique_ptr<KvCache> cache;
};

// A llama with the demo model's shape.
class ShapedModel {
 public:
  ShapedModel(Backend& backend, std::uint32_t rows, std::uint32_t pages)
      : backend_(backend), rows_(rows) {
    const auto matrix = [&](std::uint32_t outputs, std::uint32_t columns) {
      return Must(backend.NewMatrix(WeightType::kQ8_0, outputs, columns,
                                    MadeUpWeights(WeightType::kQ8_0, outputs, columns)));
    };
    const auto tensor = [&](std::uint32_t columns) {
      return Must(backend.NewTensor(rows, columns));
    };
    embedding_ = matrix(kVocabulary, kWidth);
    head_ = matrix(kVocabulary, kWidth);
    rope_ = Must(backend.NewTensor(kContext, kHeadSize));
    norm_ = Must(backend.NewTensor(1, kWidth));
    Must(backend.Upload(*rope_, std::vector<float>(kContext * kHeadSize, 0.7f)));
    Must(backend.Upload(*norm_, std::vector<float>(kWidth, 1.0f)));
    for (std::uint32_t i = 0; i < kLayers; ++i)
      layers_.push_back({.attention_norm = nullptr,
                         .feed_forward_norm = nullptr,
                         .q = matrix(kHeads * kHeadSize, kWidth),
                         .k = matrix(kKvHeads * kHeadSize, kWidth),
                         .v = matrix(kKvHeads * kHeadSize, kWidth),
                         .o = matrix(kWidth, kHeads * kHeadSize),
                         .gate = matrix(kFeedForward, kWidth),
                         .up = matrix(kFeedForward, kWidth),
                         .down = matrix(kWidth, kFeedForward),
                         .cache = Must(backend.NewKvCache({pages, kKvHeads, kHeadSize}))});
    x_ = tensor(kWidth), normed_ = tensor(kWidth), q_ = tensor(kHeads * kHeadSize),
    k_ = tensor(kKvHeads * kHeadSize);
    v_ = tensor(kKvHeads * kHeadSize), attended_ = tensor(kHeads * kHeadSize), o_ = tensor(kWidth);
    gate_ = tensor(kFeedForward), up_ = tensor(kFeedForward), down_ = tensor(kWidth);
    last_ = tensor(kWidth), final_ = tensor(kWidth), logits_ = tensor(kVocabulary);
  }

  void Step(const StepRows& rows, std::span<const std::uint32_t> wanted) {
    Backend& b = backend_;
    const std::uint32_t n = rows.count();
    Must(b.BeginStep(rows));
    b.Embed(*embedding_, EmbedBy::kToken, *x_);
    for (const Layer& l : layers_) {
      b.RmsNorm(*x_, *norm_, 1e-5f, *normed_, n);
      b.MatMul(*l.q, *normed_, *q_, n);
      b.MatMul(*l.k, *normed_, *k_, n);
      b.MatMul(*l.v, *normed_, *v_, n);
      b.Rope(*q_, *rope_, {kHeadSize, kHeadSize});
      b.Rope(*k_, *rope_, {kHeadSize, kHeadSize});
      b.StoreKv(*k_, *v_, *l.cache);
      b.Attention(*q_, *l.cache, {kHeads, kKvHeads, kHeadSize}, *attended_);
      b.MatMul(*l.o, *attended_, *o_, n);
      b.Add(*x_, *o_);
      b.RmsNorm(*x_, *norm_, 1e-5f, *normed_, n);
      b.MatMul(*l.gate, *normed_, *gate_, n);
      b.MatMul(*l.up, *normed_, *up_, n);
      b.SiluMul(*gate_, *up_);
      b.MatMul(*l.down, *gate_, *down_, n);
      b.Add(*x_, *down_);
    }
    const auto count = static_cast<std::uint32_t>(wanted.size());
    b.GatherRows(*x_, wanted, *last_);
    b.RmsNorm(*last_, *norm_, 1e-5f, *final_, count);
    b.MatMul(*head_, *final_, *logits_, count);
    Must(b.Finish(kNeverStop));
    values_.resize(std::size_t{count} * kVocabulary);
    Must(b.Download(*logits_, count, values_));
  }

 private:
  Backend& backend_;
  std::uint32_t rows_;
  std::unique_ptr<Matrix> embedding_, head_;
  std::unique_ptr<Tensor> rope_, norm_, x_, normed_, q_, k_, v_, attended_, o_, gate_, up_, down_,
      last_, final_, logits_;
  std::vector<Layer> layers_;
  std::vector<float> values_;
};

// `rows_each` rows of each of `sequences` sequences that end at `length` positions.
void TimeStep(Backend& backend, std::string_view what, std::uint32_t sequences,
              std::uint32_t rows_each, std::uint32_t length) {
  const std::uint32_t rows = sequences * rows_each;
  ShapedModel model(backend, rows, sequences);
  std::vector<std::uint32_t> tokens(rows, 65), positions(rows), pages(rows), wanted(sequences);
  for (std::uint32_t r = 0; r < rows; ++r) {
    positions[r] = length - rows_each + r % rows_each;
    pages[r] = r / rows_each;
    if (r % rows_each == rows_each - 1) wanted[r / rows_each] = r;
  }
  const Timing timing = Time([&] { model.Step({tokens, positions, pages, 1}, wanted); });
  fmt::print("{}: {:.3f} ms a step ({:.3f} of processors), {:.0f} tokens/s\n", what,
             timing.seconds * 1e3, timing.processor_seconds * 1e3, rows / timing.seconds);
}

// Each operator of a layer alone, for `rows` sequences at 64.
void TimeOperators(Backend& backend, std::uint32_t rows) {
  const auto tensor = [&](std::uint32_t columns) { return Must(backend.NewTensor(rows, columns)); };
  const auto wide = tensor(kWidth), other = tensor(kWidth), q = tensor(kHeads * kHeadSize);
  const auto k = tensor(kKvHeads * kHeadSize), v = tensor(kKvHeads * kHeadSize),
             norm = Must(backend.NewTensor(1, kWidth));
  const auto rope = Must(backend.NewTensor(kContext, kHeadSize));
  const auto cache = Must(backend.NewKvCache({rows, kKvHeads, kHeadSize}));
  const auto weights = Must(backend.NewMatrix(WeightType::kQ8_0, kWidth, kWidth,
                                              MadeUpWeights(WeightType::kQ8_0, kWidth, kWidth)));
  const std::vector<std::uint32_t> tokens(rows, 65), positions(rows, 63);
  std::vector<std::uint32_t> pages(rows);
  std::iota(pages.begin(), pages.end(), 0u);
  const auto time = [&](std::string_view what, auto operation) {
    constexpr int kRepeats = 16;
    const Timing timing = Time([&] {
      Must(backend.BeginStep({tokens, positions, pages, 1}));
      for (int i = 0; i < kRepeats; ++i) operation();
      Must(backend.Finish(kNeverStop));
    });
    fmt::print("{} rows, {}: {:.1f} us ({:.1f} of processors)\n", rows, what,
               timing.seconds / kRepeats * 1e6, timing.processor_seconds / kRepeats * 1e6);
  };
  time("norm", [&] { backend.RmsNorm(*wide, *norm, 1e-5f, *other, rows); });
  time("add", [&] { backend.Add(*wide, *other); });
  time("silu, mul", [&] { backend.SiluMul(*wide, *other); });
  time("rope", [&] { backend.Rope(*q, *rope, {kHeadSize, kHeadSize}); });
  time("store", [&] { backend.StoreKv(*k, *v, *cache); });
  time("attention", [&] { backend.Attention(*q, *cache, {kHeads, kKvHeads, kHeadSize}, *other); });
  time("product", [&] { backend.MatMul(*weights, *wide, *other, rows); });
  time("embed", [&] { backend.Embed(*weights, EmbedBy::kToken, *wide); });
}

int Main(int argc, char** argv) {
  DeviceTuning tuning;
  bool cpu = false;
  std::vector<WeightType> types;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "cpu") cpu = true;
    if (word == "packed") tuning.dot_product = DotProduct::kPacked;
    if (word == "float") tuning.dot_product = DotProduct::kFloat;
    if (word == "staging") tuning.use_staging = true;
    if (const WeightFormat* format = FindWeightFormat(word)) types.push_back(format->type);
    if (word == "types")
      for (const WeightFormat& format : AllWeightFormats()) types.push_back(format.type);
  }
  const std::unique_ptr<Backend> backend =
      cpu ? NewCpuBackend({.thread_count = 2})
          : std::unique_ptr<Backend>(Must(NewTunedVulkanBackend({}, tuning)));
  fmt::print("{} ({})\n", backend->info().processor, backend->info().driver);
  if (!types.empty()) {
    TimeTypes(*backend, types);
    return 0;
  }
  TimeStep(*backend, "decode, 1 sequence at 64", 1, 1, 64);
  TimeStep(*backend, "decode, 8 sequences at 64", 8, 1, 64);
  TimeStep(*backend, "decode, 32 sequences at 64", 32, 1, 64);
  TimeStep(*backend, "decode, 32 sequences at 256", 32, 1, 256);
  TimeStep(*backend, "prefill, 4 sequences of 32", 4, 32, 32);
  TimeStep(*backend, "prefill, 1 sequence of 128", 1, 128, 128);
  for (const std::uint32_t rows : {1u, 8u, 32u}) TimeOperators(*backend, rows);
  const WeightFormat& q8 = FormatOf(WeightType::kQ8_0);
  TimeType(*backend, q8, 2048, 2048, 1, {1, 2, 4, 8, 32, 128});
  TimeType(*backend, q8, 512, 256, 1, {1, 2, 4, 8, 32, 128});
  return 0;
}

}  // namespace
}  // namespace fallow::engine

int main(int argc, char** argv) {
  return fallow::engine::Main(argc, argv);
}
