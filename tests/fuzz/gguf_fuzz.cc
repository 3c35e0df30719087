// A GGUF file may come from anybody: whatever its bytes, reading it gives a card or an error, alone
// or as all parts of a split model.
#include <cstdlib>

#include "engine/gguf/gguf_file.h"
#include "engine/gguf/join_splits.h"
#include "engine/model/model.h"

namespace {

// What joining accepts is a GGUF file again, and whole.
void JoinWithItself(fallow::ByteView bytes) {
  const fallow::engine::SplitPart parts[] = {{"first", bytes}, {"second", bytes}};
  for (const std::size_t count : {1, 2}) {
    const auto joined = fallow::engine::JoinSplits(std::span(parts).first(count));
    if (!joined.has_value()) continue;
    fallow::Bytes whole;
    for (const fallow::ByteView piece : joined->pieces())
      whole.insert(whole.end(), piece.begin(), piece.end());
    if (!fallow::engine::GgufFile::Parse(whole).has_value()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fallow::ByteView bytes(data, size);
  (void)fallow::engine::ReadModelReport(bytes);
  JoinWithItself(bytes);
  const auto file = fallow::engine::GgufFile::Parse(bytes);
  if (!file.has_value()) return 0;
  // Typed access to keys that hold something else.
  for (const char* key :
       {"general.alignment", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "k"}) {
    (void)file->FindUint(key);
    (void)file->FindFloat(key);
    (void)file->FindBool(key);
    (void)file->FindString(key);
    (void)file->FindStrings(key);
    (void)file->FindIntegers(key);
  }
  // Every tensor's bytes can be read.
  unsigned sum = 0;
  for (const auto& tensor : file->tensors()) sum += tensor.bytes.front() + tensor.bytes.back();
  return sum == ~0u ? 1 : 0;
}
