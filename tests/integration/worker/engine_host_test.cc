// Lives of the engine behind the worker: loads, stops, steps, errors and other models in random
// order, on each backend. Whatever comes before, answers are the same, and in the end nothing is
// left.
#include "agent/worker/engine_host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "engine/cpu/cpu_backend.h"
#include "engine/vulkan/tuned_backend.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow {
namespace {

using engine::TinyModel;
using engine::WeightType;

constexpr int kActs = 60;
// Of a load or a step, beyond which a stop comes too late.
constexpr int kMostLooks = 150;

struct BackendKind {
  std::string name;
  std::function<Result<std::unique_ptr<engine::Backend>>()> open;
  bool promised = false;
};

Result<std::unique_ptr<engine::Backend>> OpenTuned(const engine::DeviceTuning& tuning) {
  return engine::NewTunedVulkanBackend({}, tuning);
}

std::vector<BackendKind> Kinds() {
  const bool promised = std::getenv("FALLOW_TEST_VULKAN") != nullptr;
  return {{"Cpu",
           []() -> Result<std::unique_ptr<engine::Backend>> {
             return engine::NewCpuBackend({.thread_count = 2});
           }},
          {"Vulkan", [] { return OpenTuned({}); }, promised},
          {"VulkanStaging", [] { return OpenTuned({.use_staging = true}); }, promised}};
}

void PrintTo(const BackendKind& kind, std::ostream* out) {
  *out << kind.name;
}

// Stops at one of its looks, or never.
class StopAtLook {
 public:
  explicit StopAtLook(int look) {
    control.OnLook([this, look] {
      if (++looks_ == look) control.Stop();
    });
  }
  engine::StepControl control;

 private:
  std::atomic<int> looks_ = 0;
};
constexpr int kNever = -1;
constexpr engine::RunnerOptions kRunnerOptions{.max_sequence_count = 4, .max_rows_per_step = 16};

std::vector<AttemptResult> Answers(engine::Runner& runner) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    runner.Add(1, {.index = i,
                   .messages = {{"user", std::string(20 + 130 * i, 'x')}},
                   .max_tokens = 5,
                   .sampling = {.temperature = 1, .seed = i}});
  }
  std::vector<AttemptResult> answers(3);
  const engine::StepControl control;
  while (!runner.idle()) {
    auto finished = runner.Step(control);
    EXPECT_TRUE(finished.has_value());
    if (!finished.has_value()) break;
    for (engine::FinishedRequest& one : *finished)
      answers[one.result.request_index] = std::move(one.result);
  }
  return answers;
}

class EngineLives : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("fallow-lives-{}-{}", GetParam().name, std::random_device()());
    std::filesystem::create_directory(folder_);
    Write("small", TinyModel{}.Write());
    Write("wide",
          TinyModel{.context = 1500, .width = 256, .feed_forward = 512, .type = WeightType::kQ8_0}
              .Write());
    Bytes not_finite = TinyModel{.width = 64}.Write();
    // The last number of the last tensor: found when all others are loaded.
    std::fill(not_finite.end() - 4, not_finite.end(), std::uint8_t{0xFF});
    Write("broken", not_finite);
    Write("rubbish", Bytes(1000, std::uint8_t{7}));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const Bytes& bytes) {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  // What a host gives that nobody disturbs.
  std::vector<AttemptResult> ExpectedAnswers(const std::string& name) const {
    EngineHost host(engine::NewCpuBackend({}), kRunnerOptions, {});
    EXPECT_TRUE(host.Load(Path(name), engine::StepControl()).has_value());
    return Answers(*host.runner());
  }

  std::filesystem::path folder_;
};

// One life, act by act.
class Life {
 public:
  using AnswersByModel = std::map<std::string, std::vector<AttemptResult>>;
  Life(std::unique_ptr<engine::Backend> backend, std::uint32_t seed, std::string folder,
       const AnswersByModel& expected)
      : backend_(*backend),
        host_(std::move(backend), kRunnerOptions, {}),
        random_(seed),
        folder_(std::move(folder)),
        expected_(expected) {}

  void Act() {
    const int act = Pick(10);
    if (act < 5) return Load();
    if (host_.runner() == nullptr) return;
    if (act < 8) return Step();
    if (act == 8) return host_.runner()->Clear();
    Compare();
  }

  // What is there makes way for a file that is not.
  void End() {
    EXPECT_FALSE(host_.Load(folder_ + "/none", engine::StepControl()).has_value());
    EXPECT_EQ(host_.runner(), nullptr);
    EXPECT_EQ(backend_.used_bytes(), 0u);
    EXPECT_EQ(backend_.discarded_bytes(), 0u);
  }

  int loaded_count() const { return loaded_count_; }
  int stopped_count() const { return stopped_count_; }

 private:
  int Pick(int count) { return std::uniform_int_distribution(0, count - 1)(random_); }
  int PickLook() { return Pick(3) == 0 ? kNever : 1 + Pick(kMostLooks); }

  void Load() {
    static constexpr const char* kNames[] = {"small", "wide", "small", "wide", "broken", "rubbish"};
    const std::string name = kNames[Pick(std::size(kNames))];
    StopAtLook stop(PickLook());
    const auto ready = host_.Load(folder_ + "/" + name, stop.control);
    EXPECT_EQ(ready.has_value(), host_.runner() != nullptr);
    if (ready.has_value()) {
      model_ = name;
      ++loaded_count_;
    } else if (ready.error().code == ErrorCode::kCancelled) {
      ++stopped_count_;
    } else {
      EXPECT_TRUE(name == "broken" || name == "rubbish") << ready.error().message;
    }
  }

  void Step() {
    engine::Runner& runner = *host_.runner();
    runner.Add(2,
               {.index = 0,
                .messages = {{"user", std::string(static_cast<std::size_t>(1 + Pick(400)), 'y')}},
                .max_tokens = 20,
                .sampling = {.temperature = 1, .seed = 1}});
    StopAtLook stop(PickLook());
    const auto finished = runner.Step(stop.control);
    if (!finished.has_value()) {
      EXPECT_EQ(finished.error().code, ErrorCode::kCancelled);
      ++stopped_count_;
    }
  }

  void Compare() {
    host_.runner()->Clear();
    EXPECT_EQ(Answers(*host_.runner()), expected_.at(model_)) << model_;
  }

  engine::Backend& backend_;
  EngineHost host_;
  std::mt19937 random_;
  std::string folder_;
  std::string model_;  // that is loaded
  const AnswersByModel& expected_;
  int loaded_count_ = 0;
  int stopped_count_ = 0;
};

TEST_P(EngineLives, LeaveNothingBehindWhateverHappens) {
  const Life::AnswersByModel expected = {{"small", ExpectedAnswers("small")},
                                         {"wide", ExpectedAnswers("wide")}};
  int loaded_count = 0, stopped_count = 0;
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    auto backend = GetParam().open();
    if (!backend.has_value()) {
      ASSERT_FALSE(GetParam().promised) << backend.error().message;
      GTEST_SKIP() << backend.error().message;
    }
    Life life(*std::move(backend), seed, folder_.string(), expected);
    for (int act = 0; act < kActs; ++act) life.Act();
    life.End();
    if (HasFailure()) return;
    loaded_count += life.loaded_count();
    stopped_count += life.stopped_count();
  }
  EXPECT_GT(loaded_count, 10);
  EXPECT_GT(stopped_count, 10);
}

// Each in turn: the stop of a model that makes way is answered at each look, also by a load of the
// very model that goes.
TEST_P(EngineLives, AModelThatMakesWayIsStoppedAtEachLookAndComesBack) {
  auto backend = GetParam().open();
  if (!backend.has_value()) {
    ASSERT_FALSE(GetParam().promised) << backend.error().message;
    GTEST_SKIP() << backend.error().message;
  }
  engine::Backend& device = **backend;
  EngineHost host(*std::move(backend), kRunnerOptions, {});
  ASSERT_TRUE(host.Load(Path("wide"), engine::StepControl()).has_value());
  const auto expected = ExpectedAnswers("wide");
  for (int look = 1; look <= kMostLooks; ++look) {
    SCOPED_TRACE(look);
    StopAtLook stop(look);
    ASSERT_FALSE(host.Load(Path("rubbish"), stop.control).has_value());
    EXPECT_EQ(host.runner(), nullptr);
    EXPECT_EQ(device.used_bytes(), 0u);
    const bool all_gone = device.discarded_bytes() == 0;
    ASSERT_TRUE(host.Load(Path("wide"), engine::StepControl()).has_value());
    EXPECT_EQ(Answers(*host.runner()), expected);
    if (all_gone) {
      EXPECT_GT(look, 1);
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, EngineLives, testing::ValuesIn(Kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST(EngineHost, TooLittleMemoryNamesTheSettingThatAllowsNoMore) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("fallow-cap-{}", std::random_device()());
  const Bytes model = TinyModel{.context = 1500, .width = 256, .feed_forward = 512}.Write();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(model.data()),
             static_cast<std::streamsize>(model.size()));
  const BackendOptions options{
      .choice = BackendChoice::kCpu, .device = "", .max_memory_bytes = 1 << 20};
  EngineHost host(OpenBackend(options).value(), kRunnerOptions, options);
  const auto loaded = host.Load(path.string(), engine::StepControl());
  std::filesystem::remove(path);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(loaded.error().message.find("the owner's setting limits.memory_mib = 1 allows no more"),
            std::string::npos)
      << loaded.error().message;
}

}  // namespace
}  // namespace fallow
