#include "engine/exact_double.h"

#include <bit>
#include <cstdint>

namespace fallow::engine {
namespace {

// 1.5 * 2^52: adding it rounds a small double to an integer.
constexpr double kMagic = 6755399441055744.0;
constexpr double kLn2 = 0.69314718055994530942;

double Nearest(double x) {
  // The compiler may not fold this: floating-point addition is not associative.
  return (x + kMagic) - kMagic;
}

double TimesPowerOfTwo(double x, std::int64_t exponent) {
  return std::bit_cast<double>(std::bit_cast<std::int64_t>(x) + exponent * (std::int64_t{1} << 52));
}

}  // namespace

double DoubleExp2(double x) {
  const double n = Nearest(x);
  const double r = (x - n) * kLn2;
  // Taylor's series of e^r for |r| <= ln 2 / 2, by Horner's rule from the 15th term.
  double sum = 1.0;
  for (int i = 15; i > 0; --i) sum = 1.0 + sum * r / i;
  return TimesPowerOfTwo(sum, static_cast<std::int64_t>(n));
}

double DoubleExp(double x) {
  const double n = Nearest(x * 1.44269504088896340736);
  // ln 2 in two parts, the first with few enough bits for n times it to be exact.
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double sum = 1.0;
  for (int i = 15; i > 0; --i) sum = 1.0 + sum * r / i;
  return TimesPowerOfTwo(sum, static_cast<std::int64_t>(n));
}

double DoubleLog(double x) {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh((m - 1) / (m + 1)).
  constexpr std::int64_t kSqrtHalfBits = 0x3FE6A09E667F3BCD;
  const std::int64_t k = (std::bit_cast<std::int64_t>(x) - kSqrtHalfBits) >> 52;
  const double m = TimesPowerOfTwo(x, -k);
  const double s = (m - 1.0) / (m + 1.0);
  const double square = s * s;
  double series = 0.0;
  for (int i = 23; i > 1; i -= 2) series = (series + 1.0 / i) * square;
  return static_cast<double>(k) * kLn2 + (2.0 * s + 2.0 * s * series);
}

SineCosine DoubleSineCosine(double x) {
  // x = n pi/2 + r, pi/2 in three parts of which the first two are short.
  const double n = Nearest(x * 0.63661977236758134308);
  const double r = ((x - n * 1.57079632673412561417) - n * 6.07710050630396597660e-11) -
                   n * 2.02226624879595063154e-21;
  const double z = r * r;
  double sine = 0.0;
  double cosine = 0.0;
  for (int i = 17; i > 1; i -= 2) sine = (sine + 1.0) * -z / (i * (i - 1));
  for (int i = 18; i > 0; i -= 2) cosine = (cosine + 1.0) * -z / (i * (i - 1));
  sine = (sine + 1.0) * r;
  cosine = cosine + 1.0;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace fallow::engine
