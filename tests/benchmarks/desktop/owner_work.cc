// An owner's program that only computes: `fallow-bench-owner-work THREADS STEPS` does the steps in
// each thread and prints how long that took, in seconds.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

double Compute(long long steps) {
  constexpr double kGrowth = 1.000'000'1, kStep = 1e-9;
  double value = 1;
  for (long long i = 0; i < steps; ++i) value = value * kGrowth + kStep;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fallow-bench-owner-work THREADS STEPS\n");
    return 2;
  }
  const int thread_count = std::atoi(argv[1]);
  const long long steps = std::atoll(argv[2]);
  const auto started = std::chrono::steady_clock::now();
  std::vector<double> values(static_cast<std::size_t>(thread_count));
  std::vector<std::thread> threads;
  for (double& value : values) threads.emplace_back([&value, steps] { value = Compute(steps); });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  double sum = 0;  // so that nothing of it can be left out
  for (const double value : values) sum += value;
  std::printf("%.6f %g\n", took.count(), sum);
  return 0;
}
