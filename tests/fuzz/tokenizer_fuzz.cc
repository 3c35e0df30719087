// Any bytes: tokens give them back, answers are valid UTF-8 however the bytes were cut.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/runner/answer_text.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "tests/support/gguf_writer.h"

namespace {

using namespace fallow;
using namespace fallow::engine;

void Require(bool holds) {
  if (!holds) std::abort();
}

std::unique_ptr<Tokenizer> MakeTokenizer() {
  const std::vector<std::string> merges = {
      "a a", "aa aa", "e r", "t h", "th e", "\xC4\xA0 the", "\xC3\x83 \xC2\xA9"};
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
  for (std::string merge : merges) tokens.push_back(merge.erase(merge.find(' '), 1));
  const Bytes file = GgufWriter()
                         .String("tokenizer.ggml.model", "gpt2")
                         .String("tokenizer.ggml.pre", "gpt-2")
                         .U32("tokenizer.ggml.eos_token_id", 0)
                         .Strings("tokenizer.ggml.tokens", tokens)
                         .Strings("tokenizer.ggml.merges", merges)
                         .Write();
  const auto parsed = GgufFile::Parse(file);
  Require(parsed.has_value());
  auto tokenizer = LoadTokenizer(*parsed);
  Require(tokenizer.has_value());
  return *std::move(tokenizer);
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = ReadUtf8(text);
    if (step.kind != Utf8Kind::kCharacter) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::unique_ptr<Tokenizer> tokenizer = MakeTokenizer();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string decoded;
  for (const std::uint32_t token : tokenizer->Encode(text)) decoded += tokenizer->TokenBytes(token);
  Require(decoded == text);

  AnswerText whole({}), cut({});
  whole.Append(text);
  for (const char byte : text) cut.Append({&byte, 1});
  whole.Finish();
  cut.Finish();
  Require(whole.text() == cut.text() && IsUtf8(whole.text()));

  return 0;
}
