// What the engine computes per second on this machine.
//
//   fallow-bench-engine MODEL.gguf [--backend cpu|vulkan|all] [--threads N] [--requests FILE.jsonl]
//
// Without --requests: tokens/s of prompts and of decoding 1, 8 and 32 sequences, each for about a
// second. With it: the seconds that a whole batch file takes through a runner. The last line is one
// JSON object.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/cpu/cpu_backend.h"
#include "engine/runner.h"
#ifdef FALLOW_WITH_VULKAN
#include "engine/vulkan/vulkan_backend.h"
#endif

namespace fallow::engine {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr double kMeasuredSeconds = 1.0;
constexpr std::uint32_t kPrefillRows = 128;

struct Arguments {
  std::string model;
  std::string backend = "all";
  std::string requests;
  std::uint32_t thread_count = 0;
};

[[noreturn]] void Quit(const std::string& message) {
  fmt::print(stderr, "fallow-bench-engine: {}\n", message);
  std::exit(1);
}

template <class T>
T OrQuit(Result<T> result) {
  if (!result.has_value()) Quit(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool option = argument.starts_with("--");
    if (option && i + 1 == argc) Quit(fmt::format("{} wants a value", argument));
    if (!option) {
      arguments.model = argument;
    } else if (argument == "--backend") {
      arguments.backend = argv[++i];
    } else if (argument == "--requests") {
      arguments.requests = argv[++i];
    } else if (argument == "--threads") {
      arguments.thread_count = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      Quit(fmt::format("unknown option {}", argument));
    }
  }
  if (arguments.model.empty()) Quit("which model? fallow-bench-engine MODEL.gguf");
  return arguments;
}

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Rows of several sequences, each with its own pages.
struct StepInput {
  std::vector<std::uint32_t> tokens, positions, pages, output_rows;
  std::uint32_t pages_per_row = 0;

  void AddRow(std::uint32_t sequence, std::uint32_t position, std::uint32_t vocabulary_size) {
    tokens.push_back((position * 31 + sequence * 7 + 1) % vocabulary_size);
    positions.push_back(position);
    for (std::uint32_t i = 0; i < pages_per_row; ++i) pages.push_back(sequence * pages_per_row + i);
  }
  StepRows View() const {
    return {
        .tokens = tokens, .positions = positions, .pages = pages, .pages_per_row = pages_per_row};
  }
};

class ModelBenchmark {
 public:
  explicit ModelBenchmark(Model& model)
      : model_(model),
        context_(std::min(model.card().context_length, 512u)),
        pages_per_row_((context_ + 255) / 256) {
    workspace_ = model.NewWorkspace({.max_rows = kPrefillRows,
                                     .max_outputs = 32,
                                     .page_count = 32 * pages_per_row_,
                                     .pages_per_row = pages_per_row_});
    OrQuit(model.Allocate(*workspace_, StepControl()));
  }

  // Tokens/s of one prompt after another, in steps of up to 128 tokens.
  double Prefill() {
    StepInput step{.pages_per_row = pages_per_row_};
    const std::uint32_t count = std::min(kPrefillRows, context_);
    for (std::uint32_t p = 0; p < count; ++p) step.AddRow(0, p, model_.card().vocabulary_size);
    step.output_rows = {count - 1};
    return Measure(count, [&] { Compute(step); });
  }

  // Tokens/s of `batch` sequences that each generate, at positions around the middle of the
  // context.
  double Decode(std::uint32_t batch) {
    const std::uint32_t middle = context_ / 2;
    for (std::uint32_t sequence = 0; sequence < batch; ++sequence) FillCache(sequence, middle);
    std::uint32_t position = middle;
    return Measure(batch, [&] {
      StepInput step{.pages_per_row = pages_per_row_};
      for (std::uint32_t sequence = 0; sequence < batch; ++sequence) {
        step.AddRow(sequence, position, model_.card().vocabulary_size);
        step.output_rows.push_back(sequence);
      }
      Compute(step);
      if (++position == middle + 32 || position == context_) position = middle;
    });
  }

 private:
  void FillCache(std::uint32_t sequence, std::uint32_t end) {
    for (std::uint32_t first = 0; first < end; first += kPrefillRows) {
      StepInput step{.output_rows = {0}, .pages_per_row = pages_per_row_};
      for (std::uint32_t p = first; p < std::min(end, first + kPrefillRows); ++p) {
        step.AddRow(sequence, p, model_.card().vocabulary_size);
      }
      Compute(step);
    }
  }

  void Compute(const StepInput& step) {
    hidden_.resize(step.output_rows.size() * model_.card().embedding_length);
    logits_.resize(step.output_rows.size() * model_.card().vocabulary_size);
    const StepControl control;
    OrQuit(model_.Forward(*workspace_, step.View(), step.output_rows, {hidden_, logits_}, control));
  }

  static double Measure(std::uint32_t tokens_per_step, const std::function<void()>& step) {
    step();
    std::uint64_t steps = 0;
    const auto start = SteadyClock::now();
    do {
      step();
      ++steps;
    } while (SecondsSince(start) < kMeasuredSeconds);
    return static_cast<double>(steps * tokens_per_step) / SecondsSince(start);
  }

  Model& model_;
  std::uint32_t context_;
  std::uint32_t pages_per_row_;
  std::unique_ptr<Model::Workspace> workspace_;
  std::vector<float> hidden_, logits_;
};

std::vector<InferenceRequest> ReadRequests(const std::string& path) {
  std::ifstream file(path);
  if (!file) Quit(fmt::format("{} cannot be read", path));
  std::vector<InferenceRequest> requests;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json body = nlohmann::json::parse(line).at("body");
    InferenceRequest& request = requests.emplace_back();
    request.index = requests.size() - 1;
    for (const nlohmann::json& message : body.at("messages")) {
      request.messages.push_back({message.at("role"), message.at("content")});
    }
    request.max_tokens = body.value("max_tokens", 0u);
    request.sampling.temperature = body.value("temperature", 1.0f);
    request.sampling.seed = body.value("seed", request.index);
  }
  return requests;
}

void RunRequests(Model& model, const std::vector<InferenceRequest>& requests,
                 const std::string& name, nlohmann::json& figures) {
  const auto start = SteadyClock::now();
  const auto runner = OrQuit(Runner::Create(model, {}));
  for (const InferenceRequest& request : requests) runner->Add(1, request);
  const StepControl control;
  std::size_t failed = 0;
  while (!runner->idle()) {
    for (const auto finished = OrQuit(runner->Step(control));
         const FinishedRequest& one : finished) {
      failed += one.result.error.has_value() ? 1 : 0;
    }
  }
  const double seconds = SecondsSince(start);
  const WorkProgress progress = runner->progress();
  fmt::print(
      "{:<8} {} requests ({} failed) in {:.3f} s: {:.0f} generated tokens/s, {:.0f} prompt "
      "tokens/s\n",
      name, requests.size(), failed, seconds,
      static_cast<double>(progress.generated_token_count) / seconds,
      static_cast<double>(progress.prompt_token_count) / seconds);
  figures[name + "_requests_s"] = seconds;
  figures[name + "_generated_tokens_per_s"] =
      static_cast<double>(progress.generated_token_count) / seconds;
}

void MeasureModel(Model& model, const std::string& name, nlohmann::json& figures) {
  ModelBenchmark benchmark(model);
  const auto report = [&](const std::string& what, double tokens_per_s) {
    fmt::print("{:<8} {:<12} {:>12.0f} tokens/s\n", name, what, tokens_per_s);
    figures[fmt::format("{}_{}_tokens_per_s", name, what)] = tokens_per_s;
  };
  report("prefill", benchmark.Prefill());
  for (const std::uint32_t batch : {1u, 8u, 32u})
    report(fmt::format("decode_b{}", batch), benchmark.Decode(batch));
}

struct NamedBackend {
  std::string name;
  std::unique_ptr<Backend> backend;
};

std::vector<NamedBackend> OpenBackends(const Arguments& arguments) {
  std::vector<NamedBackend> backends;
  if (arguments.backend == "cpu" || arguments.backend == "all") {
    backends.push_back({"cpu", NewCpuBackend({.thread_count = arguments.thread_count})});
  }
#ifdef FALLOW_WITH_VULKAN
  if (arguments.backend == "vulkan" || arguments.backend == "all") {
    auto vulkan = NewVulkanBackend({});
    if (vulkan.has_value()) {
      backends.push_back({"vulkan", *std::move(vulkan)});
    } else {
      fmt::print("vulkan   not available: {}\n", vulkan.error().message);
    }
  }
#endif
  if (backends.empty()) Quit(fmt::format("no backend \"{}\"", arguments.backend));
  return backends;
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  std::ifstream stream(arguments.model, std::ios::binary);
  if (!stream) Quit(fmt::format("{} cannot be read", arguments.model));
  const Bytes file(std::istreambuf_iterator<char>(stream), {});
  nlohmann::json figures = nlohmann::json::object();
  for (const NamedBackend& named : OpenBackends(arguments)) {
    fmt::print("{:<8} {}\n", named.name, named.backend->info().processor);
    const auto model = OrQuit(Model::Load(file, *named.backend));
    if (arguments.requests.empty()) {
      MeasureModel(*model, named.name, figures);
    } else {
      RunRequests(*model, ReadRequests(arguments.requests), named.name, figures);
    }
  }
  fmt::print("{}\n", figures.dump());
  return 0;
}

}  // namespace
}  // namespace fallow::engine

int main(int argc, char** argv) {
  return fallow::engine::Main(argc, argv);
}
