#include "tests/unit/platform/fake_nvml.h"

#include <cstring>

namespace {

using fallow::testing::FakeNvmlProcess;
using fallow::testing::FakeNvmlState;

constexpr int kInvalidArgument = 2;
constexpr int kNotFound = 6;
constexpr int kInsufficientSize = 7;

FakeNvmlState state;
int card;

struct Utilization {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};
struct ProcessInfo {
  unsigned id;
  unsigned long long memory;
  unsigned gpu_instance, compute_instance;
};
struct Sample {
  unsigned id;
  unsigned long long time_us;
  unsigned sm, memory, encoder, decoder;
};

template <class T>
int Answer(void* device, T* into, T value) {
  if (device != &card) return kInvalidArgument;
  if (state.status == 0) *into = value;
  return state.status;
}

int List(const std::vector<FakeNvmlProcess>& from, unsigned* count, ProcessInfo* into) {
  if (state.status != 0) return state.status;
  const unsigned room = *count;
  *count = static_cast<unsigned>(from.size());
  if (room < from.size()) return kInsufficientSize;
  for (std::size_t i = 0; i < from.size(); ++i) into[i] = {from[i].id, from[i].memory_bytes, 0, 0};
  return 0;
}

}  // namespace

extern "C" {

FakeNvmlState* fake_nvml_state() {
  return &state;
}

int nvmlInit_v2() {
  ++state.inits;
  return state.init_status;
}
int nvmlShutdown() {
  ++state.shutdowns;
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* address, void** device) {
  if (state.pci_address != address) return kNotFound;
  *device = &card;
  return state.status;
}
int nvmlDeviceGetName(void*, char* name, unsigned length) {
  std::strncpy(name, "NVIDIA GeForce RTX 4070", length);
  return state.status;
}
int nvmlDeviceGetUtilizationRates(void* device, Utilization* use) {
  return Answer(device, use, {state.busy_percent, 0});
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  return Answer(device, memory,
                {state.memory_total, state.memory_total - state.memory_used, state.memory_used});
}
int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  return Answer(device, celsius, state.celsius);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return Answer(device, milliwatts, state.milliwatts);
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* milliwatts) {
  return Answer(device, milliwatts, state.limit_milliwatts);
}
int nvmlDeviceGetDisplayMode(void* device, int* connected) {
  return Answer(device, connected, state.display_connected);
}
int nvmlDeviceGetDisplayActive(void* device, int* active) {
  return Answer(device, active, state.display_active);
}
int nvmlDeviceGetComputeRunningProcesses_v2(void*, unsigned* count, ProcessInfo* into) {
  return List(state.computing, count, into);
}
int nvmlDeviceGetGraphicsRunningProcesses_v2(void*, unsigned* count, ProcessInfo* into) {
  return List(state.drawing, count, into);
}
int nvmlDeviceGetProcessUtilization(void*, Sample* into, unsigned* count,
                                    unsigned long long after) {
  std::vector<Sample> fresh;
  for (const auto& sample : state.samples) {
    if (sample.time_us > after)
      fresh.push_back({sample.id, sample.time_us, sample.percent, 0, 0, 0});
  }
  if (fresh.empty()) return kNotFound;
  const unsigned room = *count;
  *count = static_cast<unsigned>(fresh.size());
  if (into == nullptr || room < fresh.size()) return kInsufficientSize;
  std::memcpy(into, fresh.data(), fresh.size() * sizeof(Sample));
  return 0;
}

}  // extern "C"
