// Runs a GGUF model with llama.cpp on the CPU, token ids in and numbers out, for the accuracy
// benchmark. Compiled and linked by `./dev bench accuracy` against a build of llama.cpp that is
// already there; no part of our own build.
//
//   peer_logits MODEL.gguf f32|q8_0 CONTEXT_TOKENS logits STRIDE        < prompts
//   peer_logits MODEL.gguf f32|q8_0 CONTEXT_TOKENS greedy MAX_TOKENS END < prompts
//
// f32: the float path, keys and values kept in F32 and attention step by step. q8_0: the path that
// people run, keys and values in Q8_0 and the flash attention that those need.
// Each line of standard input is a prompt as "id id …". `logits` prints for each prompt the logits
// of every STRIDE-th position, a line for each (0: of the last one alone), or its embedding where
// the model has a pooling type; `greedy` a line with the tokens it chooses, up to the token END.
// Exit status 3: llama.cpp does not take the model, or not with such a cache.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

namespace {

constexpr int kCannot = 3;

[[noreturn]] void Fail(const std::string& message, int status = 1) {
  std::fprintf(stderr, "peer_logits: %s\n", message.c_str());
  std::exit(status);
}

struct ModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using ModelHandle = std::unique_ptr<llama_model, ModelDeleter>;
using ContextHandle = std::unique_ptr<llama_context, ContextDeleter>;

ModelHandle LoadModel(const char* path) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  ModelHandle model(llama_model_load_from_file(path, params));
  if (model == nullptr) Fail(std::string("llama.cpp does not load ") + path, kCannot);
  return model;
}

ContextHandle NewContext(llama_model* model, bool float_path, std::uint32_t context_tokens) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = context_tokens;
  params.n_threads = params.n_threads_batch = 1;  // more would only wait for each other
  params.type_k = params.type_v = float_path ? GGML_TYPE_F32 : GGML_TYPE_Q8_0;
  params.flash_attn_type =
      float_path ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_ENABLED;
  ContextHandle context(llama_init_from_model(model, params));
  if (context == nullptr) Fail("llama.cpp has no such cache for this model", kCannot);
  return context;
}

std::vector<llama_token> ReadPrompt(const std::string& line) {
  std::istringstream in(line);
  std::vector<llama_token> tokens;
  for (llama_token token; in >> token;) tokens.push_back(token);
  return tokens;
}

// Computes `tokens` behind the `first` that the context holds; with the logits of every position
// whose number, counted from 1, `stride` divides.
void Decode(llama_context* context, std::span<const llama_token> tokens, std::size_t first,
            std::size_t stride) {
  llama_batch batch = llama_batch_init(static_cast<std::int32_t>(tokens.size()), 0, 1);
  batch.n_tokens = static_cast<std::int32_t>(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    batch.token[i] = tokens[i];
    batch.pos[i] = static_cast<llama_pos>(first + i);
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = (first + i + 1) % stride == 0 ? 1 : 0;
  }
  const int failed = llama_decode(context, batch);
  llama_batch_free(batch);
  if (failed != 0) Fail("llama_decode failed");
}

void Print(std::span<const float> values) {
  for (const float value : values) std::printf("%.9g ", static_cast<double>(value));
  std::printf("\n");
}

void PrintEmbedding(const llama_model* model, llama_context* context) {
  const float* values = llama_get_embeddings_seq(context, 0);
  if (values == nullptr) Fail("llama.cpp made no embedding");
  std::vector<float> vector(values, values + llama_model_n_embd(model));
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * value;
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(squares));
  Print(vector);
}

std::span<const float> Logits(llama_context* context, const llama_model* model, std::size_t place) {
  return {llama_get_logits_ith(context, static_cast<std::int32_t>(place)),
          static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)))};
}

void PrintLogits(const llama_model* model, llama_context* context,
                 std::span<const llama_token> prompt, std::size_t stride) {
  const bool embeds = llama_pooling_type(context) != LLAMA_POOLING_TYPE_NONE;
  if (embeds) stride = 1;
  if (stride == 0) stride = prompt.size();
  Decode(context, prompt, 0, stride);
  if (embeds) return PrintEmbedding(model, context);
  for (std::size_t place = stride - 1; place < prompt.size(); place += stride)
    Print(Logits(context, model, place));
}

void PrintGreedy(const llama_model* model, llama_context* context,
                 std::span<const llama_token> prompt, int max_tokens, llama_token end) {
  Decode(context, prompt, 0, prompt.size());
  std::size_t place = prompt.size() - 1;
  for (int i = 0; i < max_tokens; ++i) {
    const auto logits = Logits(context, model, place);
    const auto best = static_cast<llama_token>(std::ranges::max_element(logits) - logits.begin());
    std::printf("%d ", best);
    if (best == end) break;
    Decode(context, {&best, 1}, prompt.size() + static_cast<std::size_t>(i), 1);
    place = 0;
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const bool greedy = argc == 7 && std::strcmp(argv[4], "greedy") == 0;
  if (!greedy && (argc != 6 || std::strcmp(argv[4], "logits") != 0))
    Fail("usage: peer_logits MODEL f32|q8_0 CONTEXT logits STRIDE | greedy MAX_TOKENS END");
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  const ModelHandle model = LoadModel(argv[1]);
  const ContextHandle context = NewContext(model.get(), std::strcmp(argv[2], "f32") == 0,
                                           static_cast<std::uint32_t>(std::atoi(argv[3])));
  llama_set_embeddings(context.get(), llama_pooling_type(context.get()) != LLAMA_POOLING_TYPE_NONE);
  for (std::string line; std::getline(std::cin, line);) {
    const std::vector<llama_token> prompt = ReadPrompt(line);
    if (llama_memory_t memory = llama_get_memory(context.get())) llama_memory_clear(memory, true);
    if (greedy) {
      PrintGreedy(model.get(), context.get(), prompt, std::atoi(argv[5]), std::atoi(argv[6]));
    } else {
      PrintLogits(model.get(), context.get(), prompt, static_cast<std::size_t>(std::atoi(argv[5])));
    }
  }
}
