// Tiny models of every family and tensor type against what tests/reference computes of them in
// float64, and against themselves on every backend and in any company.
//
// golden.make_fixtures writes models and expected values before these run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/vulkan_backend.h"
#include "tests/golden/demo_model.h"
#include "tests/golden/sequence_run.h"

namespace fallow::engine {
namespace {

struct Fixture {
  std::string family;
  std::string type;
  double largest_error = 0;  // normalised mean square
};

void PrintTo(const Fixture& fixture, std::ostream* out) {
  *out << fixture.family << " " << fixture.type;
}

// Which of a family's three bounds is the type's.
std::size_t BoundOf(std::string_view type) {
  if (type == "F32" || type == "F16" || type == "BF16") return 0;
  return type.find("_K") == std::string_view::npos ? 1 : 2;
}

// As fixtures.txt lists them.
std::vector<Fixture> AllFixtures() {
  std::vector<Fixture> fixtures;
  std::ifstream list(std::filesystem::path(FALLOW_SOURCE_DIR) / "tests/reference/fixtures.txt");
  for (std::string line; std::getline(list, line);) {
    std::istringstream words(line);
    std::string family, type;
    std::array<std::string, 3> bounds;
    if (line.starts_with("#") || !(words >> family >> bounds[0] >> bounds[1] >> bounds[2]))
      continue;
    while (words >> type)
      fixtures.push_back({family, type, std::strtod(bounds[BoundOf(type)].c_str(), nullptr)});
  }
  return fixtures;
}

std::string FixtureName(const testing::TestParamInfo<Fixture>& info) {
  std::string name = info.param.family + "_" + info.param.type;
  std::ranges::replace(name, '-', '_');
  return name;
}

double NormalisedMeanSquareError(std::span<const float> got, const std::vector<double>& expected) {
  double error = 0;
  double whole = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += (got[i] - expected[i]) * (got[i] - expected[i]);
    whole += expected[i] * expected[i];
  }
  return error / whole;
}

void ExpectSameBits(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << "value " << i << " of " << got.size();
}
void ExpectSameBits(const SequenceOutput& got, const SequenceOutput& expected) {
  ExpectSameBits(got.hidden, expected.hidden);
  ExpectSameBits(got.logits, expected.logits);
}

class Architecture : public testing::TestWithParam<Fixture> {
 protected:
  void SetUp() override {
    const std::filesystem::path folder = std::filesystem::path(FALLOW_BINARY_DIR) / "fixtures";
    if (!std::filesystem::exists(folder / "scripts.sha256"))
      GTEST_SKIP() << "no fixtures in " << folder << "; golden.make_fixtures says why";
    const auto path = folder / (GetParam().family + "-" + GetParam().type);
    file_ = ReadWholeFile(path.string() + ".gguf");
    ASSERT_FALSE(file_.empty()) << path << ".gguf is missing";
    std::ifstream expected(path.string() + ".json");
    expected_ = nlohmann::json::parse(expected);
    input_.tokens = expected_["tokens"].get<std::vector<std::uint32_t>>();
    input_.max_tokens = expected_["max_tokens"];
    input_.places = expected_["places"].get<std::vector<std::uint32_t>>();
    if (expected_.contains("embedding")) {  // pooling wants all states
      input_.places.resize(input_.tokens.size());
      std::iota(input_.places.begin(), input_.places.end(), 0u);
    }
  }

  void LoadOn(Backend& backend) {
    auto model = Model::Load(file_, backend);
    ASSERT_TRUE(model.has_value()) << model.error().message;
    model_ = *std::move(model);
  }

  SequenceOutput Run(const Steps& steps = {}) {
    auto output = RunSequence(*model_, input_, steps);
    EXPECT_TRUE(output.has_value()) << output.error().message;
    return output.value_or(SequenceOutput{});
  }

  SequenceOutput RunOn(Backend& backend, const Steps& steps = {}) {
    LoadOn(backend);
    if (HasFatalFailure()) return {};
    SequenceOutput output = Run(steps);
    model_ = nullptr;
    return output;
  }

  std::unique_ptr<Backend> cpu_ = NewCpuBackend({.thread_count = 2});
  Bytes file_;
  nlohmann::json expected_;
  SequenceInput input_;
  std::unique_ptr<Model> model_;
};

TEST_P(Architecture, AgreesWithTheReference) {
  LoadOn(*cpu_);
  if (HasFatalFailure()) return;
  const SequenceOutput output = Run();
  std::vector<double> expected;
  std::vector<float> got = output.logits;
  if (expected_.contains("embedding")) {
    expected = expected_["embedding"].get<std::vector<double>>();
    got = Pooled(model_->card(), output.hidden);
  } else {
    for (const auto& row : expected_["logits"])
      for (const double value : row) expected.push_back(value);
  }
  ASSERT_EQ(got.size(), expected.size());
  const double error = NormalisedMeanSquareError(got, expected);
  RecordProperty("normalised_mean_square_error", fmt::format("{:.3g}", error));
  EXPECT_LE(error, GetParam().largest_error);
}

TEST_P(Architecture, GivesTheSameBitsPlainAndVectorised) {
  const auto plain = NewCpuBackend({.path = CpuPath::kPlain});
  ExpectSameBits(RunOn(*cpu_), RunOn(*plain));
}

TEST_P(Architecture, GivesTheSameBitsAmong31OthersAndInAnyChunks) {
  LoadOn(*cpu_);
  if (HasFatalFailure()) return;
  const SequenceOutput alone = Run({.chunks = {300}});
  for (const std::vector<std::uint32_t>& chunks :
       {std::vector<std::uint32_t>{1, 63, 100, 93, 1}, std::vector<std::uint32_t>{97}}) {
    SCOPED_TRACE(testing::PrintToString(chunks));
    ExpectSameBits(Run({.chunks = chunks, .other_count = 31}), alone);
  }
}

TEST_P(Architecture, GivesTheSameBitsOnVulkan) {
  auto vulkan = NewVulkanBackend({});
  if (!vulkan.has_value() && std::getenv("FALLOW_TEST_VULKAN") == nullptr)
    GTEST_SKIP() << "no Vulkan backend here: " << vulkan.error().message;
  ASSERT_TRUE(vulkan.has_value()) << vulkan.error().message;
  const SequenceOutput expected = RunOn(*cpu_);
  ExpectSameBits(RunOn(**vulkan), expected);
  ExpectSameBits(RunOn(**vulkan, {.chunks = {200, 93, 1}, .other_count = 31}), expected);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Architecture, testing::ValuesIn(AllFixtures()), FixtureName);

}  // namespace
}  // namespace fallow::engine
