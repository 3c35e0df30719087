#include "engine/exact_double.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace fallow::engine {
namespace {

constexpr double kAccuracy = 4e-16;  // two units in the last place

class DoubleFunctions : public ::testing::Test {
 protected:
  double Draw(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  static double RelativeError(double got, long double wanted) {
    return static_cast<double>(std::fabs((got - wanted) / wanted));
  }
  std::mt19937_64 random_{12};
};

TEST_F(DoubleFunctions, ExponentialsAreAccurate) {
  double largest = 0;
  for (int i = 0; i < 500'000; ++i) {
    const double x = Draw(-690, 690);
    largest = std::max(largest, RelativeError(DoubleExp(x), std::exp(static_cast<long double>(x))));
    largest =
        std::max(largest, RelativeError(DoubleExp2(x), std::exp2(static_cast<long double>(x))));
  }
  EXPECT_LE(largest, kAccuracy);
}

TEST_F(DoubleFunctions, LogarithmIsAccurateNearOneToo) {
  double largest = 0;
  for (int i = 0; i < 500'000; ++i) {
    const double x = std::exp(Draw(-300, 300));
    largest = std::max(largest, RelativeError(DoubleLog(x), std::log(static_cast<long double>(x))));
    const double near_one = 1 + Draw(-1e-3, 1e-3);
    largest = std::max(
        largest, RelativeError(DoubleLog(near_one), std::log(static_cast<long double>(near_one))));
  }
  EXPECT_LE(largest, 2 * kAccuracy);
  EXPECT_EQ(DoubleLog(1.0), 0.0);
}

TEST_F(DoubleFunctions, SineAndCosineAreAccurateUpToAMillion) {
  double largest = 0;
  for (int i = 0; i < 500'000; ++i) {
    const double x = Draw(0, 1 << 20);
    const SineCosine got = DoubleSineCosine(x);
    largest = std::max(
        largest, static_cast<double>(std::fabs(got.sine - std::sin(static_cast<long double>(x)))));
    largest = std::max(largest, static_cast<double>(
                                    std::fabs(got.cosine - std::cos(static_cast<long double>(x)))));
  }
  EXPECT_LE(largest, kAccuracy);
}

}  // namespace
}  // namespace fallow::engine
