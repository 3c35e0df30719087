// Runs a GGUF model with the engine, token ids in and numbers out, for the accuracy benchmark; the
// counterpart of peer_logits.cc, with the same output.
//
//   fallow-accuracy-logits MODEL.gguf cpu|vulkan logits STRIDE < prompts
//   fallow-accuracy-logits MODEL.gguf cpu|vulkan answers
//
// Each line of `prompts` is one prompt as "id id …". `logits` prints for each prompt the logits of
// every STRIDE-th position, a line for each (0: of the last one alone), or its embedding where the
// model has a pooling type. `answers` prints for each of the demo's 200 requests a line with the
// ids of its prompt and one with those of its answer. Exit status 3: no such backend here.
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "engine/cpu/cpu_backend.h"
#include "tests/golden/demo_model.h"
#include "tests/golden/sequence_run.h"
#ifdef FALLOW_WITH_VULKAN
#include "engine/vulkan/vulkan_backend.h"
#endif

namespace fallow::engine {
namespace {

constexpr int kNoBackend = 3;

[[noreturn]] void Quit(const std::string& message, int status = 1) {
  fmt::print(stderr, "fallow-accuracy-logits: {}\n", message);
  std::exit(status);
}

template <class T>
T OrQuit(Result<T> result, int status = 1) {
  if (!result.has_value()) Quit(result.error().message, status);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::unique_ptr<Backend> OpenBackend(std::string_view name) {
  if (name == "cpu") return NewCpuBackend({});
#ifdef FALLOW_WITH_VULKAN
  if (name == "vulkan") return OrQuit(NewVulkanBackend({}), kNoBackend);
#endif
  Quit(fmt::format("no backend {} in this program", name), kNoBackend);
}

template <class T>
void Print(const T& values) {
  for (const auto value : values) {
    if constexpr (std::is_floating_point_v<std::decay_t<decltype(value)>>) {
      fmt::print("{:.9g} ", value);
    } else {
      fmt::print("{} ", value);
    }
  }
  fmt::print("\n");
}

void PrintLogits(Model& model, std::uint32_t stride) {
  const ModelCard& card = model.card();
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    SequenceInput input;
    input.tokens.assign(std::istream_iterator<std::uint32_t>(words), {});
    const auto count = static_cast<std::uint32_t>(input.tokens.size());
    const std::uint32_t step = card.pooling != Pooling::kNone ? 1 : stride == 0 ? count : stride;
    for (std::uint32_t place = step - 1; place < count; place += step)
      input.places.push_back(place);
    const SequenceOutput output = OrQuit(RunSequence(model, input, {}));
    if (card.pooling != Pooling::kNone) {
      Print(Pooled(card, output.hidden));
      continue;
    }
    const std::span<const float> logits = output.logits;
    for (std::size_t i = 0; i < input.places.size(); ++i)
      Print(logits.subspan(i * card.vocabulary_size, card.vocabulary_size));
  }
}

void PrintAnswers(Model& model) {
  const auto requests = ReadDemoRequests("batch.jsonl");
  const auto results = OrQuit(Generate(model, {}, requests));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Print(OrQuit(model.chat_format().Render(requests[i].messages, model.tokenizer())));
    Print(results[i].token_ids);
  }
}

void Run(std::span<char*> arguments) {
  const bool logits = arguments.size() == 5 && std::string_view(arguments[3]) == "logits";
  if (!logits && (arguments.size() != 4 || std::string_view(arguments[3]) != "answers"))
    Quit("usage: fallow-accuracy-logits MODEL cpu|vulkan logits STRIDE | answers");
  const auto backend = OpenBackend(arguments[2]);
  const auto model = OrQuit(Model::Load(ReadWholeFile(arguments[1]), *backend));
  if (logits) {
    PrintLogits(*model, static_cast<std::uint32_t>(std::strtoul(arguments[4], nullptr, 10)));
  } else {
    PrintAnswers(*model);
  }
}

}  // namespace
}  // namespace fallow::engine

int main(int argc, char** argv) {
  fallow::engine::Run({argv, static_cast<std::size_t>(argc)});
}
