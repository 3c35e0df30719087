// The contract's functions against correctly rounded doubles: the error table of
// docs/ARITHMETIC.md.
#include "engine/exact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace fallow::engine {
namespace {

float FromBits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
std::uint32_t Bits(float x) {
  return std::bit_cast<std::uint32_t>(x);
}

// The distance of `got` from `wanted` in units of the last place of wanted, rounded to fp32.
double UlpError(float got, double wanted) {
  const double magnitude = std::fabs(wanted);
  const int exponent = std::max(std::ilogb(magnitude), -126);
  return std::fabs(static_cast<double>(got) - wanted) / std::ldexp(1.0, exponent - 23);
}

// The largest error over 4 million floats of [low, high], each binade drawn equally often when both
// are positive.
double LargestError(float low, float high, float (*function)(float), double (*truth)(double)) {
  std::mt19937 random(7);
  double largest = 0;
  const bool by_bits = low > 0;
  std::uniform_int_distribution<std::uint32_t> bits(Bits(std::fabs(low)), Bits(high));
  std::uniform_real_distribution<float> uniform(low, high);
  for (int i = 0; i < 4'000'000; ++i) {
    const float x = by_bits ? FromBits(bits(random)) : uniform(random);
    largest = std::max(largest, UlpError(function(x), truth(x)));
  }
  return largest;
}

TEST(ExactFunctions, ReciprocalErrsByLessThanTheTableSays) {
  EXPECT_LE(LargestError(0x1p-100f, 0x1p100f, ExactRcp, [](double x) { return 1 / x; }), 1.25);
}

TEST(ExactFunctions, ReciprocalSquareRootErrsByLessThanTheTableSays) {
  EXPECT_LE(
      LargestError(0x1p-100f, 0x1p100f, ExactRsqrt, [](double x) { return 1 / std::sqrt(x); }),
      1.22);
}

TEST(ExactFunctions, ExponentialErrsByLessThanTheTableSays) {
  EXPECT_LE(LargestError(-87, 88, ExactExp, [](double x) { return std::exp(x); }), 1.0);
}

TEST(ExactFunctions, LogarithmErrsByLessThanTheTableSays) {
  EXPECT_LE(LargestError(0x1p-126f, 0x1p127f, ExactLog, [](double x) { return std::log(x); }),
            0.84);
  EXPECT_LE(LargestError(0.5f, 2.0f, ExactLog, [](double x) { return std::log(x); }), 0.84);
}

TEST(ExactFunctions, SigmoidAndSiluErrByLessThanTheTableSays) {
  EXPECT_LE(LargestError(-60, 60, ExactSigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }),
            2.85);
  EXPECT_LE(LargestError(-60, 60, ExactSilu, [](double x) { return x / (1 + std::exp(-x)); }),
            3.15);
}

TEST(ExactFunctions, GeluErrsByLessThanTheTableSays) {
  const auto truth = [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  };
  std::mt19937 random(8);
  std::uniform_real_distribution<float> uniform(-5, 30);
  double largest_ulp = 0;
  double largest = 0;
  for (int i = 0; i < 4'000'000; ++i) {
    const float x = uniform(random);
    largest_ulp = std::max(largest_ulp, UlpError(ExactGelu(x), truth(x)));
    if (x < 0) largest = std::max(largest, std::fabs(ExactGelu(x) - truth(x)));
  }
  EXPECT_LE(largest_ulp, 45);
  EXPECT_LE(largest, 5e-7);
}

TEST(ExactFunctions, GeluByTheErrorFunctionErrsByLessThanTheTableSays) {
  double largest = 0;
  double largest_beyond = 0;
  for (double at = -40; at < 40; at += 1e-5) {
    const auto x = static_cast<float>(at);
    const double truth = 0.5 * x * std::erfc(-static_cast<double>(x) / std::sqrt(2.0));
    const double error = std::fabs(ExactGeluErf(x) - truth);
    (std::fabs(at) < 8 ? largest : largest_beyond) =
        std::max(std::fabs(at) < 8 ? largest : largest_beyond, error);
  }
  EXPECT_LE(largest, 1e-6);
  EXPECT_LE(largest_beyond, 2e-6);
  EXPECT_TRUE(std::isnan(ExactGeluErf(NAN)));
  EXPECT_EQ(ExactGeluErf(INFINITY), INFINITY);
  EXPECT_EQ(ExactGeluErf(-INFINITY), -INFINITY);
}

TEST(ExactFunctions, HyperbolicTangentErrsByLessThanTheTableSays) {
  std::mt19937 random(12);
  std::uniform_real_distribution<float> uniform(-12, 12);
  double largest = 0;
  for (int i = 0; i < 4'000'000; ++i) {
    const float x = i % 2 == 0 ? uniform(random) : uniform(random) * 0x1p-8f;
    largest = std::max(largest, std::fabs(ExactTanh(x) - std::tanh(static_cast<double>(x))));
  }
  EXPECT_LE(largest, 3e-7);
  EXPECT_EQ(ExactTanh(0.0f), 0.0f);
  for (const float x : {60.0f, 1e30f, std::numeric_limits<float>::max()}) {
    EXPECT_EQ(ExactTanh(x), 1.0f);
    EXPECT_EQ(ExactTanh(-x), -1.0f);
  }
}

TEST(ExactFunctions, SoftcapStaysWithinItsCapAndKeepsWhatIsNotFinite) {
  for (const float cap : {0.5f, 30.0f, 50.0f}) {
    const float inverse = 1.0f / cap;
    for (const double x : {-1e30, -100.0, -3.0, -1e-3, 1e-3, 0.7, 29.0, 1e30}) {
      const auto value = static_cast<float>(x);
      const double truth = cap * std::tanh(static_cast<double>(value) / cap);
      EXPECT_NEAR(ExactSoftcap(value, cap, inverse), truth, 4e-7 * cap) << cap << ", " << x;
      EXPECT_LE(std::fabs(ExactSoftcap(value, cap, inverse)), cap);
    }
    EXPECT_EQ(ExactSoftcap(INFINITY, cap, inverse), INFINITY);
    EXPECT_EQ(ExactSoftcap(-INFINITY, cap, inverse), -INFINITY);
    EXPECT_TRUE(std::isnan(ExactSoftcap(NAN, cap, inverse)));
  }
}

TEST(ExactFunctions, RoundToNearestWithTiesToEven) {
  EXPECT_EQ(ExactRint(0.5f), 0);
  EXPECT_EQ(ExactRint(1.5f), 2);
  EXPECT_EQ(ExactRint(-0.5f), 0);
  EXPECT_EQ(ExactRint(-1.5f), -2);
  EXPECT_EQ(ExactRint(-2.5f), -2);
  EXPECT_EQ(ExactRint(126.5f), 126);
  std::mt19937 random(9);
  std::uniform_real_distribution<float> uniform(-4'194'303, 4'194'303);
  for (int i = 0; i < 1'000'000; ++i) {
    const float x = uniform(random);
    ASSERT_EQ(ExactRint(x), static_cast<int>(std::nearbyint(x))) << x;
  }
}

TEST(ExactFunctions, IntegersBecomeFloatsAsTheProcessorConvertsThem) {
  for (int i = -4'194'303; i < 4'194'304; ++i) ASSERT_EQ(ExactFloat(i), static_cast<float>(i));
  EXPECT_EQ(Bits(ExactFloat(0)), 0u);
  std::mt19937 random(10);
  for (int i = 0; i < 4'000'000; ++i) {
    const auto value = static_cast<std::int32_t>(random()) >> (random() % 32);
    ASSERT_EQ(ExactFloatWide(value), static_cast<float>(value)) << value;
  }
  EXPECT_EQ(ExactFloatWide(std::numeric_limits<std::int32_t>::min()), -0x1p31f);
  EXPECT_EQ(ExactFloatWide(std::numeric_limits<std::int32_t>::max()), 0x1p31f);
}

TEST(ExactFunctions, EveryFiniteHalfWidensExactly) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7C00u) == 0x7C00u) continue;
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const auto mantissa = static_cast<float>(bits & 1023);
    const float magnitude =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(Bits(ExactHalf(bits)), Bits(bits & 0x8000u ? -magnitude : magnitude)) << bits;
  }
}

TEST(ExactFunctions, SnapLeavesNeitherDenormalsNorNegativeZero) {
  EXPECT_EQ(Bits(ExactSnap(-0.0f)), 0u);
  EXPECT_EQ(Bits(ExactSnap(FromBits(1))), 0u);
  EXPECT_EQ(Bits(ExactSnap(-0x1.fffffep-61f)), 0u);
  EXPECT_EQ(ExactSnap(0x1p-60f), 0x1p-60f);
  EXPECT_EQ(ExactSnap(-0x1p-60f), -0x1p-60f);
  EXPECT_EQ(ExactSnap(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(ExactSnap(NAN)));
}

TEST(ExactFunctions, QuantisedValuesStayWithin127) {
  std::mt19937 random(11);
  std::uniform_int_distribution<std::uint32_t> bits(Bits(0x1p-40f), Bits(0x1p100f));
  for (int i = 0; i < 4'000'000; ++i) {
    const float amax = FromBits(bits(random));
    const float inverse = ExactInverse(ExactScale(Bits(amax)));
    ASSERT_EQ(ExactQuant(amax, inverse), 127) << amax;
    ASSERT_EQ(ExactQuant(-amax, inverse), -127) << amax;
  }
}

TEST(ExactFunctions, BlocksBeyondTheRangeQuantiseToZeros) {
  EXPECT_EQ(ExactScale(Bits(0x1.fffffep-41f)), 0.0f);
  EXPECT_GT(ExactScale(Bits(0x1p-40f)), 0.0f);
  EXPECT_LT(ExactScale(Bits(0x1p100f)), INFINITY);
  EXPECT_EQ(ExactScale(Bits(0x1.000002p100f)), INFINITY);
  EXPECT_EQ(ExactScale(Bits(INFINITY)), INFINITY);
  EXPECT_EQ(ExactScale(Bits(NAN) & 0x7FFFFFFFu), INFINITY);
  EXPECT_EQ(ExactInverse(0.0f), 0.0f);
  EXPECT_EQ(ExactInverse(INFINITY), 0.0f);
  EXPECT_EQ(ExactQuant(NAN, 0.0f), 0);
}

TEST(ExactFunctions, SoftmaxWeightsEndAtMinus32) {
  EXPECT_EQ(ExactSoftmaxWeight(0.0f), 1.0f);
  EXPECT_EQ(ExactSoftmaxWeight(-32.0f), 0.0f);
  EXPECT_GT(ExactSoftmaxWeight(-31.99f), 0.0f);
  EXPECT_EQ(ExactSoftmaxWeight(-INFINITY), 0.0f);
}

TEST(ExactFunctions, ExtremeArgumentsStayNormalNumbers) {
  for (const float x : {-INFINITY, -1e30f, -87.0f, 88.0f, 1e30f, INFINITY}) {
    EXPECT_TRUE(std::isnormal(ExactExp(x))) << x;
    EXPECT_TRUE(std::isnormal(ExactSigmoid(x))) << x;
  }
}

}  // namespace
}  // namespace fallow::engine
