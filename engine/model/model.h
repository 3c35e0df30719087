// A Model is a GGUF file made ready on a backend: configuration, weights, tokenizer and chat
// format.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/backend.h"
#include "engine/chat/chat_format.h"
#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

// What a model is for.
enum class Pooling : std::uint8_t { kNone, kMean, kFirst, kLast };

// What a GGUF file says of itself; all of it checked. Needs no backend, so the coordinator and the
// command line read it too.
struct ModelCard {
  std::string architecture;  // "llama"
  std::string name;          // general.name as UTF-8, cut to 256 bytes; may be empty
  std::string license;       // general.license as UTF-8, cut; may be empty
  std::uint64_t parameter_count = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t context_length = 0;  // tokens
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t vocabulary_size = 0;
  std::string weight_types;          // "Q8_0 43, F32 13": tensors by type
  std::string tokenizer;             // "gpt2 (gpt-2)"
  bool chat = false;                 // has a chat template that we can render
  Pooling pooling = Pooling::kNone;  // kNone: it generates; else it embeds
  std::uint64_t weight_bytes = 0;    // on a device, about
  // Of a cache, on a device: keys and values of all layers.
  std::uint64_t bytes_per_position = 0;

  // What `sequence_count` sequences of `tokens` tokens take on a device, weights included, about.
  std::uint64_t MemoryBytes(std::uint32_t sequence_count, std::uint32_t tokens) const;
};

// A file's card, as far as it could be read, and every reason why the file is refused.
struct ModelReport {
  ModelCard card;
  std::vector<Error> refusals;
};
ModelReport ReadModelReport(ByteView file);
// The same of a directory that is read already, of a file of `file_bytes`.
ModelReport ReadModelReport(GgufFile file, std::uint64_t file_bytes);

// The card of a file that is not refused; else the first reason. `file` is the whole GGUF file
// (memory-mapped).
Result<ModelCard> ReadModelCard(ByteView file);

// The buffers of one runner.
struct WorkspaceSize {
  std::uint32_t max_rows = 0;       // of a step
  std::uint32_t max_outputs = 0;    // of its rows that are put out
  std::uint32_t page_count = 0;     // of every layer's cache
  std::uint32_t pages_per_row = 0;  // of the longest sequence
};

class Model {
 public:
  virtual ~Model() = default;

  virtual Backend& backend() = 0;
  virtual const ModelCard& card() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatFormat& chat_format() const = 0;

  // Uploads the weights. kResourceExhausted before anything is, with what would fit, where weights
  // and a shortest sequence are more than the backend's memory. kCancelled when it was stopped,
  // with nothing kept (ModelLoad goes on). `file` need not outlive the call; `backend` must outlive
  // the model.
  static Result<std::unique_ptr<Model>> Load(ByteView file, Backend& backend,
                                             const StepControl& control = StepControl());

  // Every row sees its whole sequence, so all of a sequence must be in one step.
  virtual bool looks_ahead() const = 0;
  // Added to a row's position it is its rotary place (StepRows), for a sequence that will have
  // `tokens` tokens at most. The same for all rows of a sequence.
  virtual std::uint32_t RotaryOffset(std::uint32_t tokens) const = 0;
  // Device memory that the weights hold, and that a workspace takes.
  virtual std::uint64_t WeightBytes() const = 0;
  virtual std::uint64_t WorkspaceBytes(const WorkspaceSize& size) const = 0;

  class Workspace {
   public:
    virtual ~Workspace() = default;
  };
  virtual std::unique_ptr<Workspace> NewWorkspace(const WorkspaceSize& size) = 0;
  // Gives it the buffers that it lacks. kCancelled when it was stopped: to clear gigabytes takes a
  // while; those that are there stay, and the next call goes on.
  virtual Status Allocate(Workspace& workspace, const StepControl& control) = 0;

  struct StepOutput {
    std::span<float> hidden;  // final normalised states, output_rows.size() × embedding_length
    std::span<float> logits;  // output_rows.size() × vocabulary_size; empty: not computed
  };
  // `workspace` has its buffers. Computes the step's rows through all layers and the states and
  // logits of `output_rows` (indices into the rows, ascending, at least one). kCancelled as
  // Backend::Finish.
  virtual Status Forward(Workspace& workspace, const StepRows& rows,
                         std::span<const std::uint32_t> output_rows, StepOutput output,
                         const StepControl& control) = 0;
};

}  // namespace fallow::engine
