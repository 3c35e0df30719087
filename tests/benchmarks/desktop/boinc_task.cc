// A task for boinc-client that computes without end and obeys the client through BOINC's own
// library, which looks for messages every 0.1 s. It never checkpoints, so the client leaves it in
// memory while the owner is there: the quicker of its two ways to give a machine back.
#include <boinc/boinc_api.h>

int main() {
  if (boinc_init() != 0) return 1;
  constexpr int kStepsBetweenReports = 100'000'000;
  constexpr double kGrowth = 1.000'000'1;
  volatile double value = 1;
  for (;;) {
    for (int i = 0; i < kStepsBetweenReports; ++i) value = value * kGrowth + 1e-9;
    value = 1;
    boinc_fraction_done(0.5);
  }
}
