// Functions of doubles whose bits are the same on every host: for tables and sampling, where libm's
// would differ.
//
// IEEE 754 add, sub, mul and div only, never fused. Accuracy is a few units in the last place, far
// below what their users round to.
#pragma once

namespace fallow::engine {

struct SineCosine {
  double sine = 0;
  double cosine = 0;
};

double DoubleExp2(double x);            // |x| <= 1000
double DoubleExp(double x);             // |x| <= 690
double DoubleLog(double x);             // natural; x normal and positive
SineCosine DoubleSineCosine(double x);  // 0 <= x <= 2^20

}  // namespace fallow::engine
