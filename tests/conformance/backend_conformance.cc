#include "tests/conformance/backend_conformance.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <ostream>

#include "engine/cpu/cpu_backend.h"
#include "tests/support/trying_weights.h"

namespace fallow::engine {
namespace {

class Numbers {
 public:
  explicit Numbers(std::uint32_t seed) : state_(seed * 2654435761u + 0x9E3779B9u) {}
  std::uint32_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  // In [-1, 1).
  float Uniform() { return static_cast<float>(static_cast<std::int32_t>(Next())) * 0x1p-31f; }

 private:
  std::uint32_t state_;
};

const StepControl kNeverStop;

template <class T>
T Must(Result<T> result) {
  if (!result.has_value()) {
    ADD_FAILURE() << result.error().message;
    return {};
  }
  return *std::move(result);
}

// Which values are not finite is part of the contract, their bits are not.
bool SameValue(float a, float b) {
  if (!std::isfinite(a) && !std::isfinite(b)) return true;
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace

std::vector<float> TryingValues(std::size_t count, std::uint32_t seed, float spread) {
  Numbers numbers(seed);
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t kind = numbers.Next() % 64;
    const float x = numbers.Uniform() * spread;
    switch (kind) {
      case 0:
        values[i] = 0.0f;
        break;
      case 1:
        values[i] = -0.0f;
        break;
      case 2:
        values[i] = std::bit_cast<float>(numbers.Next() & 0x807FFFFFu);
        break;  // denormal
      case 3:
        values[i] = x * 0x1p-55f;
        break;  // snapped after a product
      case 4:
        values[i] = x * 100.0f;
        break;  // an outlier
      case 5:
        values[i] = static_cast<float>(static_cast<int>(numbers.Next() % 255) - 127) * 0.5f;
        break;  // ties
      default:
        values[i] = x;
    }
  }
  return values;
}

std::string Trace(std::string_view what, std::initializer_list<std::uint32_t> shape) {
  std::string text(what);
  for (const std::uint32_t n : shape) text += " " + std::to_string(n);
  return text;
}

Bytes TryingWeights(WeightType type, std::uint32_t rows, std::uint32_t columns,
                    std::uint32_t seed) {
  Numbers numbers(seed);
  const auto next = [&] { return numbers.Next(); };
  if (FormatOf(type).is_integer()) return TryingIntegerWeights(type, rows, columns, next, 8);
  Bytes bytes(rows * WeightRowBytes(type, columns));
  if (type == WeightType::kF16) {
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
      const std::uint16_t half = TryingHalf(next, 16);
      std::memcpy(bytes.data() + i, &half, 2);
    }
    return bytes;
  }
  const std::vector<float> values = TryingValues(std::size_t{rows} * columns, seed);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    const auto high_half = static_cast<std::uint16_t>(bits >> 16);
    if (type == WeightType::kF32) std::memcpy(bytes.data() + i * 4, &bits, 4);
    if (type == WeightType::kBF16) std::memcpy(bytes.data() + i * 2, &high_half, 2);
  }
  return bytes;
}

std::unique_ptr<Tensor> Workbench::NewTensor(std::uint32_t rows, std::uint32_t columns) {
  return Must(backend_.NewTensor(rows, columns));
}

std::unique_ptr<Tensor> Workbench::NewTensor(std::uint32_t rows, std::uint32_t columns,
                                             Int8Forms forms, std::span<const float> values) {
  auto tensor = Must(backend_.NewTensor(rows, columns, forms));
  const Status status = backend_.Upload(*tensor, values);
  EXPECT_TRUE(status.has_value()) << status.error().message;
  return tensor;
}

std::unique_ptr<Tensor> Workbench::NewTensor(std::uint32_t rows, std::uint32_t columns,
                                             std::span<const float> values) {
  auto tensor = NewTensor(rows, columns);
  const Status status = backend_.Upload(*tensor, values);
  EXPECT_TRUE(status.has_value()) << status.error().message;
  return tensor;
}

std::unique_ptr<Matrix> Workbench::NewMatrix(WeightType type, std::uint32_t rows,
                                             std::uint32_t columns, std::uint32_t seed) {
  return Must(backend_.NewMatrix(type, rows, columns, TryingWeights(type, rows, columns, seed)));
}

std::unique_ptr<KvCache> Workbench::NewKvCache(const KvShape& shape) {
  return Must(backend_.NewKvCache(shape));
}

void Workbench::BeginRows(std::uint32_t rows) {
  const std::vector<std::uint32_t> zeros(rows);
  // A page of some cache is needed for a row to have a place.
  static constexpr KvShape kOnePage{.page_count = 1, .kv_head_count = 1, .head_size = 32};
  const auto cache = NewKvCache(kOnePage);
  Begin({.tokens = zeros, .positions = zeros, .pages = zeros, .pages_per_row = 1});
}

void Workbench::Begin(const StepRows& rows) {
  const Status status = backend_.BeginStep(rows);
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

void Workbench::Finish() {
  const Status status = backend_.Finish(kNeverStop);
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

void Workbench::Take(const Tensor& tensor, std::uint32_t rows) {
  const std::size_t first = taken_.size();
  taken_.resize(first + std::size_t{rows} * tensor.columns());
  const Status status = backend_.Download(tensor, rows, std::span(taken_).subspan(first));
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

void PrintTo(const BackendUnderTest& backend, std::ostream* out) {
  *out << backend.name;
}

void BackendConformance::SetUp() {
  auto subject = GetParam().open();
  if (!subject.has_value()) {
    const ErrorCode code = subject.error().code;
    if (!GetParam().promised && (code == ErrorCode::kUnavailable || code == ErrorCode::kNotFound ||
                                 code == ErrorCode::kUnimplemented))
      GTEST_SKIP() << subject.error().message;
    FAIL() << subject.error().message;
  }
  subject_ = *std::move(subject);
  reference_ = NewCpuBackend({.thread_count = 1, .path = CpuPath::kPlain});
}

void BackendConformance::TearDown() {
  if (subject_ != nullptr) GetParam().check_at_end(*subject_);
}

void BackendConformance::ExpectSameBits(const std::function<void(Workbench&)>& work) {
  Workbench expected(*reference_);
  work(expected);
  Workbench got(*subject_);
  work(got);
  ASSERT_EQ(expected.taken().size(), got.taken().size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < expected.taken().size(); ++i) {
    const float e = expected.taken()[i];
    const float g = got.taken()[i];
    if (SameValue(e, g)) continue;
    if (different++ < 3) ADD_FAILURE() << "value " << i << ": expected " << e << ", got " << g;
  }
  EXPECT_EQ(different, 0u) << "of " << expected.taken().size();
}

std::string BackendName(const testing::TestParamInfo<BackendUnderTest>& info) {
  return info.param.name;
}

}  // namespace fallow::engine
