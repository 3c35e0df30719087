// The conformance suite of backends: every operator, shape by shape, must give the bits of the
// plain CPU backend.
//
// A backend's test program lists its factories with FALLOW_BACKEND_CONFORMANCE. A factory that says
// kUnavailable, kNotFound or kUnimplemented skips its cases, unless the backend was promised.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/backend.h"

namespace fallow::engine {

struct BackendUnderTest {
  std::string name;
  std::function<Result<std::unique_ptr<Backend>>()> open;
  std::function<void(Backend&)> check_at_end = [](Backend&) {};
  bool promised = false;  // its absence fails its cases
};
// Instead of its bytes.
void PrintTo(const BackendUnderTest& backend, std::ostream* out);

// Numbers that try an operator: mixed magnitudes with zeros, -0, ties and denormals among them.
std::vector<float> TryingValues(std::size_t count, std::uint32_t seed, float spread = 1.0f);

// "MatMul 3 256": what a case is at.
std::string Trace(std::string_view what, std::initializer_list<std::uint32_t> shape);

// Weights as GGUF stores them, with the extremes of their type among them.
Bytes TryingWeights(WeightType type, std::uint32_t rows, std::uint32_t columns, std::uint32_t seed);

// One backend at work: what an operator's case does on the reference and on the backend under test.
class Workbench {
 public:
  explicit Workbench(Backend& backend) : backend_(backend) {}

  Backend& backend() { return backend_; }
  std::unique_ptr<Tensor> NewTensor(std::uint32_t rows, std::uint32_t columns);
  std::unique_ptr<Tensor> NewTensor(std::uint32_t rows, std::uint32_t columns,
                                    std::span<const float> values);
  std::unique_ptr<Tensor> NewTensor(std::uint32_t rows, std::uint32_t columns, Int8Forms forms,
                                    std::span<const float> values);
  std::unique_ptr<Matrix> NewMatrix(WeightType type, std::uint32_t rows, std::uint32_t columns,
                                    std::uint32_t seed);
  std::unique_ptr<KvCache> NewKvCache(const KvShape& shape);
  // A step of `rows` rows that needs no places.
  void BeginRows(std::uint32_t rows);
  void Begin(const StepRows& rows);
  void Finish();
  // Adds the first rows of a tensor to what is compared.
  void Take(const Tensor& tensor, std::uint32_t rows);
  const std::vector<float>& taken() const { return taken_; }

 private:
  Backend& backend_;
  std::vector<float> taken_;
};

class BackendConformance : public testing::TestWithParam<BackendUnderTest> {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Runs `work` on the reference and on the backend under test and compares all bits of what it
  // took; values that are not finite count as equal.
  void ExpectSameBits(const std::function<void(Workbench&)>& work);

  std::unique_ptr<Backend> reference_;
  std::unique_ptr<Backend> subject_;
};

std::string BackendName(const testing::TestParamInfo<BackendUnderTest>& info);

}  // namespace fallow::engine

#define FALLOW_BACKEND_CONFORMANCE(...)                                                  \
  namespace fallow::engine {                                                             \
  INSTANTIATE_TEST_SUITE_P(Backends, BackendConformance, testing::ValuesIn(__VA_ARGS__), \
                           BackendName);                                                 \
  }
