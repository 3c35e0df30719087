// The real worker over real pipes, with the demo model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/integration/worker/worker_pipe.h"

namespace fallow {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kExample = FALLOW_SOURCE_DIR "/examples/field-normalizer/";
const std::string kModel = kExample + "field-normalizer-q8_0.gguf";
const std::vector<std::string> kCpu = {"--backend", "cpu"};
const std::vector<std::string> kVulkan = {"--backend", "vulkan"};

std::vector<InferenceRequest> DemoRequests(std::size_t count) {
  std::vector<InferenceRequest> requests;
  std::ifstream file(kExample + "batch.jsonl");
  for (std::string line; requests.size() < count && std::getline(file, line);) {
    const auto body = nlohmann::json::parse(line).at("body");
    InferenceRequest request{
        .index = requests.size(),
        .messages = {},
        .max_tokens = body.at("max_tokens"),
        .stop = {},
        .sampling = {.temperature = body.at("temperature"), .top_p = 1, .top_k = 0, .seed = 0}};
    for (const auto& message : body.at("messages")) {
      request.messages.push_back({message.at("role"), message.at("content")});
    }
    requests.push_back(std::move(request));
  }
  EXPECT_EQ(requests.size(), count);
  return requests;
}

std::vector<std::string> ExpectedAnswers(std::size_t count) {
  std::vector<std::string> answers;
  std::ifstream file(kExample + "expected.jsonl");
  for (std::string line; answers.size() < count && std::getline(file, line);) {
    answers.push_back(nlohmann::json::parse(line).at("answer"));
  }
  return answers;
}

// A worker with the demo model loaded.
std::unique_ptr<WorkerPipe> LoadedWorker(std::vector<std::string> arguments) {
  auto worker = std::make_unique<WorkerPipe>(std::move(arguments));
  EXPECT_TRUE(worker->Next<WorkerReady>().has_value()) << worker->errors();
  worker->Send(LoadModel{kModel});
  EXPECT_TRUE(worker->Next<ModelReady>().has_value()) << worker->errors();
  return worker;
}

// By request index.
std::map<std::uint64_t, AttemptResult> RunAll(WorkerPipe& worker,
                                              const std::vector<InferenceRequest>& requests) {
  worker.Send(RunRequests{.ticket = 1, .requests = requests});
  std::map<std::uint64_t, AttemptResult> results;
  while (results.size() < requests.size()) {
    auto finished = worker.Next<RequestFinished>();
    if (!finished) break;
    EXPECT_EQ(finished->ticket, 1u);
    EXPECT_TRUE(results.emplace(finished->result.request_index, finished->result).second);
  }
  return results;
}

bool HasVulkanDevice() {
  WorkerPipe worker(kVulkan);
  const auto first = worker.Next();
  return first && std::holds_alternative<WorkerReady>(*first);
}

TEST(WorkerProcess, AnswersTheDemoBatch) {
  const std::size_t count = 100;
  const auto worker = LoadedWorker(kCpu);
  const auto results = RunAll(*worker, DemoRequests(count));
  ASSERT_EQ(results.size(), count);
  const auto expected = ExpectedAnswers(count);
  std::size_t right = 0;
  for (const auto& [index, result] : results) {
    ASSERT_FALSE(result.error.has_value()) << result.error->message;
    EXPECT_FALSE(result.token_ids.empty());
    EXPECT_GT(result.prompt_token_count, 0u);
    right += result.text == expected[index];
  }
  EXPECT_GE(right, count * 9 / 10);
}

TEST(WorkerProcess, GivesTheSameBitsOnVulkanAndCpu) {
  if (!HasVulkanDevice()) {
    // Who sets this promises a device.
    ASSERT_EQ(std::getenv("FALLOW_TEST_VULKAN"), nullptr)
        << "the worker cannot use the Vulkan device";
    GTEST_SKIP() << "no Vulkan device on this machine";
  }
  const auto requests = DemoRequests(40);
  const auto cpu = LoadedWorker(kCpu);
  const auto vulkan = LoadedWorker(kVulkan);
  const auto on_cpu = RunAll(*cpu, requests);
  const auto on_vulkan = RunAll(*vulkan, requests);
  ASSERT_EQ(on_cpu.size(), requests.size());
  EXPECT_TRUE(on_cpu == on_vulkan);
}

TEST(WorkerProcess, StopsAtOnceAndGoesOnWhenAsked) {
  const auto worker = LoadedWorker(kCpu);
  std::uint64_t best_us = UINT64_MAX;
  for (int i = 0; i < 5; ++i) {
    worker->Send(
        RunRequests{.ticket = static_cast<std::uint64_t>(i) + 10, .requests = DemoRequests(200)});
    ASSERT_TRUE(worker->Next<RequestFinished>().has_value());
    worker->Send(StopWork{});
    const auto stopped = worker->Next<Stopped>();
    ASSERT_TRUE(stopped.has_value());
    best_us = std::min(best_us, stopped->stop_latency_us);
  }
  std::printf("stop latency %.2f ms (best of 5)\n", static_cast<double>(best_us) / 1000);
  EXPECT_LT(best_us, 100'000u);
  const auto answers = RunAll(*worker, DemoRequests(3));
  EXPECT_EQ(answers.size(), 3u) << "nothing of the stopped work comes any more";
  std::uint64_t token_count = 0;
  for (const auto& [index, answer] : answers) token_count += answer.token_ids.size();
  const auto report = worker->Next<ProgressReport>();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->progress.generated_token_count, token_count);
}

// The load and the stop in one write, so that the stop is there before a load can end.
void StopALoad(WorkerPipe& worker) {
  Bytes both = EncodeFrame(ToWorker(LoadModel{kModel}));
  const Bytes stop = EncodeFrame(ToWorker(StopWork{}));
  both.insert(both.end(), stop.begin(), stop.end());
  worker.SendRaw(std::move(both));
  const auto broken_off = worker.Next();
  ASSERT_TRUE(broken_off && std::holds_alternative<WorkerFailure>(*broken_off));
  EXPECT_EQ(std::get<WorkerFailure>(*broken_off).error.code, ErrorCode::kCancelled);
  const auto stopped = worker.Next();
  ASSERT_TRUE(stopped && std::holds_alternative<Stopped>(*stopped));
}

TEST(WorkerProcess, AStopBreaksALoadOffAndTheNextOneGoesOn) {
  for (const auto& arguments : {kCpu, kVulkan}) {
    if (arguments == kVulkan && !HasVulkanDevice()) continue;
    WorkerPipe worker(arguments);
    ASSERT_TRUE(worker.Next<WorkerReady>().has_value());
    for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(StopALoad(worker));
    worker.Send(LoadModel{kModel});
    ASSERT_TRUE(worker.Next<ModelReady>().has_value());
    const auto results = RunAll(worker, DemoRequests(3));
    const auto undisturbed = RunAll(*LoadedWorker(kCpu), DemoRequests(3));
    EXPECT_TRUE(results == undisturbed);
  }
}

TEST(WorkerProcess, ForgetsADroppedTicket) {
  const auto worker = LoadedWorker(kCpu);
  worker->Send(RunRequests{.ticket = 7, .requests = DemoRequests(200)});
  worker->Send(RunRequests{.ticket = 8, .requests = DemoRequests(2)});
  worker->Send(DropTicket{7});
  std::size_t of_the_dropped = 0;
  for (std::size_t rest = 2; rest > 0;) {
    const auto finished = worker->Next<RequestFinished>();
    ASSERT_TRUE(finished.has_value());
    if (finished->ticket == 8) --rest;
    of_the_dropped += finished->ticket == 7;
  }
  EXPECT_LT(of_the_dropped, 200u);
  const auto progress = worker->Next<ProgressReport>();
  ASSERT_TRUE(progress.has_value());
  EXPECT_EQ(progress->progress.active_sequence_count, 0u);
}

TEST(WorkerProcess, RefusesABrokenModelAndTakesTheNext) {
  const std::string truncated =
      testing::TempDir() + "/fallow_truncated." + std::to_string(getpid()) + ".gguf";
  {
    std::ifstream in(kModel, std::ios::binary);
    std::string bytes(100'000, '\0');
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    std::ofstream(truncated, std::ios::binary) << bytes;
  }
  WorkerPipe worker(kCpu);
  ASSERT_TRUE(worker.Next<WorkerReady>().has_value());
  for (const std::string& path : {truncated, std::string("/nowhere/model.gguf")}) {
    worker.Send(LoadModel{path});
    const auto answer = worker.Next();
    ASSERT_TRUE(answer && std::holds_alternative<WorkerFailure>(*answer));
    EXPECT_THAT(std::get<WorkerFailure>(*answer).error.message, HasSubstr(path));
  }
  worker.Send(LoadModel{kModel});
  const auto ready = worker.Next<ModelReady>();
  ASSERT_TRUE(ready.has_value());
  EXPECT_GT(ready->context_length, 0u);
  EXPECT_EQ(RunAll(worker, DemoRequests(2)).size(), 2u);
  std::filesystem::remove(truncated);
}

TEST(WorkerProcess, TakesNoMoreMemoryThanItsOwnerAllows) {
  WorkerPipe tight({"--backend", "cpu", "--max-memory-mib", "1"});
  const auto tight_ready = tight.Next<WorkerReady>();
  ASSERT_TRUE(tight_ready.has_value());
  EXPECT_EQ(tight_ready->memory_bytes, 1u << 20);
  tight.Send(LoadModel{kModel});
  const auto answer = tight.Next();
  ASSERT_TRUE(answer && std::holds_alternative<WorkerFailure>(*answer));
  const Error& error = std::get<WorkerFailure>(*answer).error;
  EXPECT_EQ(error.code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(error.message, HasSubstr("too large for this device"));
  EXPECT_THAT(error.message, HasSubstr("of 1048576 bytes"));

  // Enough for a few sequences at once: slower, with the same answers.
  const auto requests = DemoRequests(40);
  const auto narrow = LoadedWorker({"--backend", "cpu", "--max-memory-mib", "8"});
  const auto plenty = LoadedWorker(kCpu);
  const auto answers = RunAll(*narrow, requests);
  EXPECT_EQ(answers.size(), requests.size());
  EXPECT_TRUE(answers == RunAll(*plenty, requests));
}

// Quiet mode: the same answers, later.
TEST(WorkerProcess, APaceChangesNoAnswer) {
  const auto requests = DemoRequests(10);
  const auto paced = LoadedWorker(kCpu);
  paced->Send(SetPace{0.3});
  const auto full = LoadedWorker(kCpu);
  EXPECT_TRUE(RunAll(*paced, requests) == RunAll(*full, requests));
}

// Everything but the ear is in the idle class; the program says what else it reached.
TEST(WorkerProcess, WorksInTheBackgroundUnlessToldOtherwise) {
  WorkerPipe worker(kCpu, WorkerPipe::Priority::kBackground);
  ASSERT_TRUE(worker.Next<WorkerReady>().has_value());
  worker.Send(LoadModel{kModel});
  EXPECT_TRUE(worker.Next<ModelReady>().has_value());
  worker.CloseInput();
  ASSERT_TRUE(worker.WaitForExit().has_value());
  EXPECT_THAT(worker.errors(), HasSubstr("in the background: SCHED_IDLE"));
}

TEST(WorkerProcess, ARequestThatCannotBeRunFailsAlone) {
  const auto worker = LoadedWorker(kCpu);
  auto requests = DemoRequests(3);
  requests[1].messages[0].content.assign(100'000, 'x');  // far beyond the model's context
  const auto results = RunAll(*worker, requests);
  ASSERT_EQ(results.size(), 3u);
  EXPECT_FALSE(results.at(0).error.has_value());
  ASSERT_TRUE(results.at(1).error.has_value());
  EXPECT_EQ(results.at(1).error->code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(results.at(2).error.has_value());
}

TEST(WorkerProcess, LeavesWhenItsInputEndsEvenAtWork) {
  const auto worker = LoadedWorker(kCpu);
  worker->Send(RunRequests{.ticket = 1, .requests = DemoRequests(200)});
  ASSERT_TRUE(worker->Next<RequestFinished>().has_value());
  worker->CloseInput();
  const auto exit = worker->WaitForExit();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 0) << worker->errors();
}

TEST(WorkerProcess, NamesGarbageAndEnds) {
  const auto end_after = [](Bytes garbage) {
    WorkerPipe worker(kCpu);
    EXPECT_TRUE(worker.Next<WorkerReady>().has_value());
    worker.SendRaw(std::move(garbage));
    const auto failure = worker.Next();
    const auto exit = worker.WaitForExit();
    EXPECT_TRUE(exit.has_value());
    EXPECT_EQ(exit.value_or(SubprocessExit{}).code, 1);
    return failure && std::holds_alternative<WorkerFailure>(*failure)
               ? std::get<WorkerFailure>(*failure).error.message
               : "no failure was named";
  };
  EXPECT_THAT(end_after({0xFF, 0xFF, 0xFF, 0xFF}),
              HasSubstr("payload of 4294967295 bytes; at most 67108864"));
  EXPECT_THAT(end_after({3, 0, 0, 0, 0xFF, 0xFF, 0xFF}), HasSubstr("not a protobuf message"));
  EXPECT_THAT(end_after({0, 0, 0, 0}), HasSubstr("empty or of an unknown kind"));
}

TEST(WorkerProcess, SaysWhyABackendCannotBeHad) {
  WorkerPipe worker({"--backend", "vulkan", "--device", "no such device"});
  const auto failure = worker.Next();
  ASSERT_TRUE(failure && std::holds_alternative<WorkerFailure>(*failure));
  const auto exit = worker.WaitForExit();
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 1);
}

}  // namespace
}  // namespace fallow
