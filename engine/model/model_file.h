// A ModelFile is a GGUF file read and checked as far as that goes without a backend.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "engine/chat/chat_format.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/graph.h"
#include "engine/model/model.h"
#include "engine/model/model_shape.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

struct ModelFile {
  GgufFile gguf;  // views the file's bytes
  ModelCard card;
  ModelShape shape;
  Graph graph;  // its weights point into `gguf`
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatFormat> chat_format;  // null: the file has no template
};

// Reads all of `bytes` that can be read. What is wrong is added to `refusals`; without any the
// result is whole. A stop is a refusal too: kCancelled.
std::unique_ptr<ModelFile> ReadModelFile(ByteView bytes, std::vector<Error>& refusals,
                                         const StepControl& control = StepControl());
// The same of a directory that is read already, of a file of `file_bytes`.
std::unique_ptr<ModelFile> ReadModelFile(GgufFile gguf, std::uint64_t file_bytes,
                                         std::vector<Error>& refusals,
                                         const StepControl& control = StepControl());

}  // namespace fallow::engine
