// A library that plays NVIDIA's management library: it answers what the test wrote into its state,
// which the test finds under the name "fake_nvml_state".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow::testing {

struct FakeNvmlProcess {
  unsigned id = 0;
  unsigned long long memory_bytes = 0;
};
struct FakeNvmlSample {
  unsigned id = 0;
  unsigned long long time_us = 0;
  unsigned percent = 0;
};

struct FakeNvmlState {
  int init_status = 0;
  int status = 0;  // of every question about a card
  std::string pci_address = "0000:01:00.0";
  unsigned busy_percent = 0;
  unsigned long long memory_total = 8ull << 30;
  unsigned long long memory_used = 1ull << 30;
  unsigned celsius = 50;
  unsigned milliwatts = 30'000;
  unsigned limit_milliwatts = 200'000;
  int display_connected = 0;
  int display_active = 0;
  std::vector<FakeNvmlProcess> computing;
  std::vector<FakeNvmlProcess> drawing;
  std::vector<FakeNvmlSample> samples;

  int inits = 0;
  int shutdowns = 0;
};

}  // namespace fallow::testing
