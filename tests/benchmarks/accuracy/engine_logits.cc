// Runs a GGUF model with the engine, token ids in and numbers out, for the accuracy benchmark; the
// counterpart of peer_logits.cc, with the same output.
//
//   fallow-accuracy-logits MODEL.gguf cpu|vulkan logits STRIDE  < prompts
//   fallow-accuracy-logits MODEL.gguf cpu|vulkan answers REQUESTS.jsonl
//
// Each line of `prompts` is one prompt as "id id …". For each, every STRIDE-th position's logits are
// printed, a line for each; or its embedding where the model has a pooling type. `answers` prints
// for each request two lines: the ids of its prompt, and those of its answer.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "engine/cpu/cpu_backend.h"
#include "engine/model/model.h"
#ifdef FALLOW_WITH_VULKAN
#include "engine/vulkan/vulkan_backend.h"
#endif

namespace fallow::engine {
namespace {

constexpr std::uint32_t kStepRows = 128;

[[noreturn]] void Quit(const std::string& message) {
  fmt::print(stderr, "fallow-accuracy-logits: {}\n", message);
  std::exit(1);
}

template <class T>
T OrQuit(Result<T> result) {
  if (!result.has_value()) Quit(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

Bytes ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Quit(fmt::format("{} cannot be read", path));
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void Print(std::span<const float> values) {
  for (const float value : values) fmt::print("{:.9g} ", value);
  fmt::print("\n");
}

}  // namespace
}  // namespace fallow::engine

int main(int argc, char** argv) {
  using namespace fallow::engine;
  auto backend = NewCpuBackend({.thread_count = 2});
  auto model = OrQuit(Model::Load(ReadFile(argv[1]), *backend));
  const std::uint32_t stride = std::atoi(argv[4]);
  const auto& card = model->card();
  const std::uint32_t pages = (card.context_length + 255) / 256;
  auto workspace = OrQuit(model->NewWorkspace(kStepRows, pages));
  std::vector<std::uint32_t> page_ids(pages);
  for (std::uint32_t i = 0; i < pages; ++i) page_ids[i] = i;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::vector<std::uint32_t> tokens(std::istream_iterator<std::uint32_t>(in), {});
    for (std::uint32_t first = 0; first < tokens.size(); first += kStepRows) {
      const std::uint32_t count = std::min<std::size_t>(kStepRows, tokens.size() - first);
      std::vector<std::uint32_t> t, p, g, o;
      for (std::uint32_t i = 0; i < count; ++i) {
        t.push_back(tokens[first + i]);
        p.push_back(first + i);
        g.insert(g.end(), page_ids.begin(), page_ids.end());
        if ((first + i + 1) % stride == 0) o.push_back(i);
      }
      const bool none = o.empty();
      if (none) o.push_back(0);
      std::vector<float> hidden(o.size() * card.embedding_length), logits(o.size() * card.vocabulary_size);
      const StopFlag stop = false;
      OrQuit(model->Forward(*workspace, {t, p, g, pages}, o, {hidden, logits}, stop));
      if (none) continue;
      for (std::size_t i = 0; i < o.size(); ++i)
        Print(std::span(logits).subspan(i * card.vocabulary_size, card.vocabulary_size));
    }
  }
}
