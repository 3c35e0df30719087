// A tiny model on the CPU backend, and runners over it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/cpu/cpu_backend.h"
#include "engine/runner.h"
#include "tests/golden/demo_model.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow::engine {

struct RunnerTest : public ::testing::Test {
  void Load(const TinyModel& tiny, const CpuBackendOptions& options = {}) {
    model.reset();  // before what it lives on
    backend = NewCpuBackend(options);
    auto loaded = Model::Load(tiny.Write(), *backend);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    model = *std::move(loaded);
  }

  void LoadFile(const Bytes& file) {
    model.reset();
    backend = NewCpuBackend({});
    auto loaded = Model::Load(file, *backend);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    model = *std::move(loaded);
  }

  std::unique_ptr<Runner> NewRunner(const RunnerOptions& options = {}) {
    auto runner = Runner::Create(*model, options);
    EXPECT_TRUE(runner.has_value()) << (runner.has_value() ? "" : runner.error().message);
    return *std::move(runner);
  }

  std::vector<AttemptResult> GenerateAll(const RunnerOptions& options,
                                         const std::vector<InferenceRequest>& requests) {
    auto results = Generate(*model, options, requests);
    EXPECT_TRUE(results.has_value()) << (results.has_value() ? "" : results.error().message);
    return results.value_or(std::vector<AttemptResult>{});
  }

  static std::vector<FinishedRequest> RunToEnd(Runner& runner) {
    std::vector<FinishedRequest> all;
    const StepControl control;
    while (!runner.idle()) {
      auto finished = runner.Step(control);
      EXPECT_TRUE(finished.has_value());
      if (!finished.has_value()) break;
      std::ranges::move(*finished, std::back_inserter(all));
    }
    return all;
  }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Model> model;
};

inline InferenceRequest Ask(std::uint64_t index, const std::string& text, std::uint32_t max_tokens,
                            float temperature = 1.0f) {
  return {.index = index,
          .messages = {{"user", text}},
          .max_tokens = max_tokens,
          .sampling = {.temperature = temperature, .seed = 100 + index}};
}

// Prompts of many lengths, some across a page border, short and long answers.
inline std::vector<InferenceRequest> MixedRequests() {
  std::vector<InferenceRequest> requests;
  for (std::uint64_t i = 0; i < 24; ++i) {
    requests.push_back(
        Ask(i, std::string(1 + i * 17 % 300, static_cast<char>('a' + i)), 1 + i * 13 % 70));
  }
  return requests;
}

}  // namespace fallow::engine
