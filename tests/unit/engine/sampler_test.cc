#include "engine/sampler/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace fallow::engine {
namespace {

using Logits = std::vector<float>;

Sampling Random(std::uint64_t seed, float temperature = 1.0f, std::uint32_t top_k = 0,
                float top_p = 1.0f) {
  return {.temperature = temperature, .top_p = top_p, .top_k = top_k, .seed = seed};
}

// How often each token is chosen over `count` seeds.
std::map<std::uint32_t, int> Histogram(const Logits& logits, Sampling sampling, int count) {
  Sampler sampler;
  std::map<std::uint32_t, int> chosen;
  for (int i = 0; i < count; ++i) {
    sampling.seed = static_cast<std::uint64_t>(i);
    ++chosen[sampler.Choose(logits, sampling, 5)];
  }
  return chosen;
}

// Published known answers of Philox 4x32-10.
TEST(Philox, GivesItsKnownAnswers) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  constexpr std::uint32_t kOnes = 0xFFFFFFFF;
  EXPECT_EQ(Philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (std::array<std::uint32_t, 4>{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
}

TEST(Sampler, TakesTheLargestLogitWhenGreedyAndTheLowestIdOfEquals) {
  Sampler sampler;
  EXPECT_EQ(sampler.Choose(Logits{1, 3, 3, 2}, Random(1, 0.0f), 0), 1u);
  EXPECT_EQ(sampler.Choose(Logits{-0.0f, 0.0f}, Random(1, 0.0f), 0), 0u);
}

TEST(Sampler, ChoosesAgainWhatItChoseBefore) {
  Logits logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  Sampler one, other;
  for (std::uint64_t position = 0; position < 100; ++position) {
    EXPECT_EQ(one.Choose(logits, Random(7), position), other.Choose(logits, Random(7), position));
  }
  EXPECT_NE(one.Choose(logits, Random(7), 3), one.Choose(logits, Random(8), 3));
  EXPECT_NE(one.Choose(logits, Random(7), 3), one.Choose(logits, Random(7), 4));
}

TEST(Sampler, DrawsFromTheDistributionOfTheLogits) {
  const auto chosen =
      Histogram({std::log(1.0f), std::log(2.0f), std::log(5.0f)}, Random(0), 20'000);
  EXPECT_NEAR(chosen.at(0), 20'000 / 8, 300);
  EXPECT_NEAR(chosen.at(1), 20'000 / 4, 300);
  EXPECT_NEAR(chosen.at(2), 20'000 * 5 / 8, 300);
}

TEST(Sampler, SharpensWithLowTemperature) {
  const auto chosen = Histogram({0.0f, 1.0f}, Random(0, 0.5f), 20'000);
  EXPECT_NEAR(chosen.at(1), 20'000 / (1 + std::exp(-2.0)), 300);
}

TEST(Sampler, KeepsTheTopKWithTheLowestIdOfEquals) {
  const auto chosen = Histogram({1, 2, 1, 1}, Random(0, 1.0f, 2), 1000);
  EXPECT_TRUE(chosen.contains(0) && chosen.contains(1));
  EXPECT_EQ(chosen.size(), 2u);
}

TEST(Sampler, KeepsTheSmallestSetThatReachesTopP) {
  const Logits logits = {std::log(0.1f), std::log(0.5f), std::log(0.4f)};
  EXPECT_EQ(Histogram(logits, Random(0, 1.0f, 0, 0.45f), 1000).size(), 1u);
  EXPECT_EQ(Histogram(logits, Random(0, 1.0f, 0, 0.8f), 1000).size(), 2u);
  EXPECT_EQ(Histogram(logits, Random(0, 1.0f, 0, 0.95f), 1000).size(), 3u);
  EXPECT_EQ(Histogram(logits, Random(0, 1.0f, 0, 1e-6f), 1000).size(), 1u);
}

TEST(Sampler, SurvivesExtremeLogits) {
  Sampler sampler;
  EXPECT_EQ(sampler.Choose(Logits{-3e38f, 3e38f}, Random(3, 1e-6f, 0, 0.5f), 0), 1u);
  EXPECT_EQ(sampler.Choose(Logits{5}, Random(3, 2.0f, 1, 0.1f), 0), 0u);
}

TEST(GumbelNoise, StaysWithinItsBounds) {
  double low = 0, high = 0, sum = 0;
  constexpr int kCount = 200'000;
  for (int i = 0; i < kCount; ++i) {
    const double noise = GumbelNoise(1, 2, static_cast<std::uint32_t>(i));
    low = std::min(low, noise);
    high = std::max(high, noise);
    sum += noise;
  }
  EXPECT_GT(low, -3.7);
  EXPECT_LT(high, 37.0);
  EXPECT_NEAR(sum / kCount, 0.5772, 0.02);  // Euler's constant is the distribution's mean
}

}  // namespace
}  // namespace fallow::engine
