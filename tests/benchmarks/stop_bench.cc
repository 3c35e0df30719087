// How quickly the engine stops, at random moments of a full batch or of a load.
//
//   fallow-bench-stop MODEL.gguf REQUESTS.jsonl [--backend cpu|vulkan] [--stops N] [--share S]
//   fallow-bench-stop MODEL.gguf --during load [--before OTHER.gguf] [--backend cpu|vulkan]
//                     [--stops N]
//
// From the wish to stop to the device having no work of ours: N stops (200), each after 2 to 60 ms
// of work, while the batch is filled up again and again. On Vulkan also what the slices between
// which it stops took, by the device's own clock where it has one. --share paces it.
// During a load it is the real worker that is stopped, in the background as always and by the
// daemon's ladder, a process for each stop. A driver that keeps compiled kernels on disk has them
// from the second on: MESA_SHADER_CACHE_DISABLE=1 gives what a first load costs with Mesa's.
// --before: a model that is in memory then, and makes way; its path is not the other's.
// The last line is one JSON object.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/cpu/cpu_backend.h"
#include "engine/runner.h"
#include "tests/benchmarks/load_stops.h"
#ifdef FALLOW_WITH_VULKAN
#include "engine/vulkan/tuned_backend.h"
#endif

namespace fallow::engine {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kShortestWorkMs = 2;
constexpr int kLongestWorkMs = 60;
constexpr std::uint64_t kFewWaiting = 32;

[[noreturn]] void Quit(const std::string& message) {
  fmt::print(stderr, "fallow-bench-stop: {}\n", message);
  std::exit(1);
}

template <class T>
T OrQuit(Result<T> result) {
  if (!result.has_value()) Quit(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Arguments {
  std::string program;
  std::string model;
  std::string requests;
  std::string model_before;
  std::string backend = "cpu";
  int stops = 200;
  double share = 1;
  bool during_load = false;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments{.program = argv[0]};
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      files.emplace_back(argument);
      continue;
    }
    if (i + 1 == argc) Quit(fmt::format("{} wants a value", argument));
    const char* value = argv[++i];
    if (argument == "--backend") {
      arguments.backend = value;
    } else if (argument == "--stops") {
      arguments.stops = std::max(1, std::atoi(value));
    } else if (argument == "--share") {
      arguments.share = std::clamp(std::strtod(value, nullptr), kMinShare, 1.0);
    } else if (argument == "--before") {
      arguments.model_before = value;
    } else if (argument == "--during") {
      if (std::string_view(value) != "load") Quit("--during: only \"load\" is known");
      arguments.during_load = true;
    } else {
      Quit(fmt::format("unknown option {}", argument));
    }
  }
  if (files.size() != (arguments.during_load ? 1 : 2))
    Quit("fallow-bench-stop MODEL.gguf REQUESTS.jsonl, or MODEL.gguf --during load");
  arguments.model = files[0];
  if (!arguments.during_load) arguments.requests = files[1];
  return arguments;
}

std::vector<InferenceRequest> ReadRequests(const std::string& path) {
  std::ifstream file(path);
  if (!file) Quit(fmt::format("{} cannot be read", path));
  std::vector<InferenceRequest> requests;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json body = nlohmann::json::parse(line).at("body");
    InferenceRequest& request = requests.emplace_back();
    request.index = requests.size() - 1;
    for (const nlohmann::json& message : body.at("messages"))
      request.messages.push_back({message.at("role"), message.at("content")});
    request.max_tokens = body.value("max_tokens", 0u);
    request.sampling.temperature = body.value("temperature", 1.0f);
  }
  if (requests.empty()) Quit(fmt::format("{} holds no requests", path));
  return requests;
}

struct Figures {
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

// By nearest rank.
Figures Summarise(std::vector<double> values_ms) {
  if (values_ms.empty()) return {};
  std::ranges::sort(values_ms);
  const auto at = [&](std::size_t percent) {
    return values_ms[std::max<std::size_t>((values_ms.size() * percent + 99) / 100, 1) - 1];
  };
  return {at(50), at(99), values_ms.back()};
}

void Print(const std::string& what, const std::vector<double>& values_ms, nlohmann::json& json) {
  const Figures figures = Summarise(values_ms);
  fmt::print("{:<8} {:>6} of them: p50 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms\n", what,
             values_ms.size(), figures.p50_ms, figures.p99_ms, figures.max_ms);
  json[what + "_count"] = values_ms.size();
  json[what + "_p50_ms"] = figures.p50_ms;
  json[what + "_p99_ms"] = figures.p99_ms;
  json[what + "_max_ms"] = figures.max_ms;
}

// One stop: the milliseconds from the wish to the step's end.
double StopOnce(Runner& runner, StepControl& control, std::chrono::milliseconds after,
                const std::vector<InferenceRequest>& requests) {
  Clock::time_point wished;
  std::thread owner([&] {
    std::this_thread::sleep_for(after);
    wished = Clock::now();
    control.Stop();
  });
  for (;;) {
    if (runner.progress().waiting_request_count < kFewWaiting)
      for (const InferenceRequest& request : requests) runner.Add(1, request);
    const auto finished = runner.Step(control);
    if (finished.has_value()) continue;
    const Clock::time_point stopped = Clock::now();
    if (finished.error().code != ErrorCode::kCancelled) Quit(finished.error().message);
    owner.join();
    control.Resume();
    return Milliseconds(stopped - wished).count();
  }
}

std::unique_ptr<Backend> OpenBackend(const Arguments& arguments, std::vector<double>& slices_ms) {
  if (arguments.backend == "cpu") return NewCpuBackend({});
#ifdef FALLOW_WITH_VULKAN
  if (arguments.backend == "vulkan") {
    auto vulkan = OrQuit(NewTunedVulkanBackend({}, {}));
    vulkan->OnSlice([&slices_ms](std::chrono::nanoseconds taken) {
      slices_ms.push_back(Milliseconds(taken).count());
    });
    return vulkan;
  }
#endif
  (void)slices_ms;
  Quit(fmt::format("no backend \"{}\"", arguments.backend));
}

void StopLoads(const Arguments& arguments) {
  const auto worker = std::filesystem::path(arguments.program).replace_filename("fallow-worker");
  const LoadStopFigures figures =
      OrQuit(MeasureLoadStops({.worker = {worker.string(), "--backend", arguments.backend},
                               .model = arguments.model,
                               .model_before = arguments.model_before,
                               .stops = arguments.stops}));
  fmt::print("{} loads in {} ms, {} of {} stops ended with SIGKILL\n", arguments.backend,
             figures.load_time.count(), figures.killed_count, figures.stops_ms.size());
  nlohmann::json json = {{"benchmark", "load_stop"},
                         {"backend", arguments.backend},
                         {"load_ms", figures.load_time.count()},
                         {"killed_count", figures.killed_count}};
  Print("stop", figures.stops_ms, json);
  fmt::print("{}\n", json.dump());
}

void StopWork(const Arguments& arguments) {
  std::vector<double> slices_ms, stops_ms;
  const auto backend = OpenBackend(arguments, slices_ms);
  std::ifstream stream(arguments.model, std::ios::binary);
  if (!stream) Quit(fmt::format("{} cannot be read", arguments.model));
  const auto load_start = Clock::now();
  const auto model =
      OrQuit(Model::Load(Bytes(std::istreambuf_iterator<char>(stream), {}), *backend));
  const auto runner = OrQuit(Runner::Create(*model, {}));
  slices_ms.clear();
  fmt::print("{}, loaded in {:.0f} ms\n", backend->info().processor,
             Milliseconds(Clock::now() - load_start).count());
  const auto requests = ReadRequests(arguments.requests);
  StepControl control;
  control.SetShare(arguments.share);
  std::mt19937 random(1);
  std::uniform_int_distribution<int> work_ms(kShortestWorkMs, kLongestWorkMs);
  for (int i = 0; i < arguments.stops; ++i)
    stops_ms.push_back(
        StopOnce(*runner, control, std::chrono::milliseconds(work_ms(random)), requests));
  nlohmann::json json = {{"benchmark", "stop"},
                         {"backend", arguments.backend},
                         {"device", backend->info().processor},
                         {"share", arguments.share}};
  Print("stop", stops_ms, json);
  if (!slices_ms.empty()) Print("slice", slices_ms, json);
  fmt::print("{}\n", json.dump());
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  if (arguments.during_load) {
    StopLoads(arguments);
  } else {
    StopWork(arguments);
  }
  return 0;
}

}  // namespace
}  // namespace fallow::engine

int main(int argc, char** argv) {
  return fallow::engine::Main(argc, argv);
}
