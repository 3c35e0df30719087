// Vocabularies that a hostile file makes up: refused with a message, or of use. A file is either
// whole ("GGUF…") or written in lines, each a letter and its argument, which are quicker to mutate:
//   k MODEL   p RULE   n NAME             the keys of those names
//   t D S     a token of type D ('0'…) whose score is its length, spelt S
//   m L R     a merge                     b, B   the 256 bytes, as stand-ins or as <0x41>
//   i C       a special id: the character's code
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "tests/support/gguf_writer.h"

namespace {

using namespace fallow;
using namespace fallow::engine;

void Require(bool holds) {
  if (!holds) std::abort();
}

class Vocabulary {
 public:
  void TakeLine(std::string_view line) {
    if (line.empty()) return;
    const char letter = line[0];
    const std::string argument(line.substr(std::min<std::size_t>(2, line.size())));
    if (letter == 'k') model_ = argument;
    if (letter == 'p') rule_ = argument;
    if (letter == 'n') name_ = argument;
    if (letter == 'm') merges_.push_back(argument);
    if (letter == 't' && argument.size() >= 2) AddToken(argument.substr(2), argument[0] - '0');
    if (letter == 'b' || letter == 'B') AddBytes(letter == 'B');
    if (letter == 'i' && !argument.empty()) ids_.push_back(static_cast<std::uint8_t>(argument[0]));
  }

  GgufWriter Write() const {
    static constexpr const char* kIds[] = {
        "tokenizer.ggml.eos_token_id",     "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.seperator_token_id",
        "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.cls_token_id"};
    Bytes scores;
    scores.reserve(12 + tokens_.size() * sizeof(float));
    GgufWriter::Append(scores, GgufWriter::kF32);
    GgufWriter::Append(scores, std::uint64_t{tokens_.size()});
    for (const std::string& token : tokens_)
      GgufWriter::Append(scores, static_cast<float>(token.size()));
    GgufWriter writer;
    writer.String("tokenizer.ggml.model", model_)
        .String("tokenizer.ggml.pre", rule_)
        .String("general.name", name_)
        .Strings("tokenizer.ggml.tokens", tokens_)
        .Integers("tokenizer.ggml.token_type", types_)
        .Key("tokenizer.ggml.scores", GgufWriter::kArray, scores)
        .Strings("tokenizer.ggml.merges", merges_);
    for (std::size_t i = 0; i < std::min(ids_.size(), std::size(kIds)); ++i)
      writer.U32(kIds[i], ids_[i]);
    return writer;
  }

 private:
  void AddToken(std::string spelling, std::int32_t type) {
    tokens_.push_back(std::move(spelling));
    types_.push_back(type);
  }
  void AddBytes(bool named) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) {
      AddToken(named ? std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">"
                     : SpellByte(static_cast<std::uint8_t>(byte)),
               named ? 6 : 1);
    }
  }

  std::string model_ = "gpt2", rule_ = "gpt-2", name_;
  std::vector<std::string> tokens_, merges_;
  std::vector<std::int32_t> types_;
  std::vector<std::uint32_t> ids_;
};

void CheckTokenizer(const Tokenizer& tokenizer, bool word_piece, std::string_view text) {
  const std::vector<std::uint32_t> tokens = tokenizer.Encode(text);
  for (const std::uint32_t token : tokens) {
    Require(token < tokenizer.vocabulary_size());
    // Only WordPiece has a control token for text: the unknown word's.
    Require(word_piece || !tokenizer.TokenBytes(token).empty());
  }
  (void)tokenizer.Decode(tokens);
  const std::vector<PromptPiece> pieces = {{std::string(text), true}, {std::string(text), false}};
  for (const std::uint32_t token : tokenizer.EncodePrompt(pieces))
    Require(token < tokenizer.vocabulary_size());
  for (const std::uint32_t token : tokenizer.EncodeText(text))
    Require(token < tokenizer.vocabulary_size());
}

Bytes FileOf(std::string_view input) {
  if (input.starts_with("GGUF")) {
    const ByteView bytes = AsBytes(input);
    return {bytes.begin(), bytes.end()};
  }
  Vocabulary vocabulary;
  for (std::string_view left = input; !left.empty();) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    vocabulary.TakeLine(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  const GgufWriter writer = vocabulary.Write();
  return writer.Write();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Bytes bytes = FileOf(input);
  const auto file = GgufFile::Parse(bytes);
  if (!file.has_value()) return 0;
  const auto tokenizer = LoadTokenizer(*file);
  if (!tokenizer.has_value()) {
    Require(!tokenizer.error().message.empty());
    return 0;
  }
  const bool word_piece = file->RequireString("tokenizer.ggml.model").value_or("") == "bert";
  for (const std::string_view text :
       {std::string_view("Hello, the 123 \n\n</s><|im_end|> \xC3\xA9\xE4\xB8\xAD"),
        std::string_view("aaaaaaaa"), input})
    CheckTokenizer(**tokenizer, word_piece, text);
  return 0;
}
