// Any bytes, by every kind of tokenizer and every word rule: tokens give the text back, a message
// makes no control token however the prompt is cut, and answers are valid UTF-8 however their bytes
// come.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/runner/answer_text.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/word_rules.h"
#include "tests/support/gguf_writer.h"

namespace {

using namespace fallow;
using namespace fallow::engine;

constexpr std::int32_t kNormal = 1, kControl = 3, kUser = 4, kByte = 6;
const std::string kMark = "\xE2\x96\x81";

void Require(bool holds) {
  if (!holds) std::abort();
}

struct Tokens {
  std::vector<std::string> spellings;
  std::vector<std::int32_t> types;
  std::vector<float> scores;

  void Add(std::string spelling, std::int32_t type, float score = 0) {
    spellings.push_back(std::move(spelling));
    types.push_back(type);
    scores.push_back(score);
  }
  GgufWriter Write(std::string_view model) const {
    Bytes payload = GgufWriter::Value(GgufWriter::kF32);
    GgufWriter::Append(payload, std::uint64_t{scores.size()});
    for (const float score : scores) GgufWriter::Append(payload, score);
    GgufWriter writer;
    writer.String("tokenizer.ggml.model", model)
        .Strings("tokenizer.ggml.tokens", spellings)
        .Integers("tokenizer.ggml.token_type", types)
        .Key("tokenizer.ggml.scores", GgufWriter::kArray, payload);
    return writer;
  }
};

std::unique_ptr<Tokenizer> Load(const GgufWriter& writer) {
  const Bytes bytes = writer.Write();
  const auto file = GgufFile::Parse(bytes);
  Require(file.has_value());
  auto tokenizer = LoadTokenizer(*file);
  Require(tokenizer.has_value());
  return *std::move(tokenizer);
}

void AddSpecials(Tokens& tokens) {
  tokens.Add("<|im_end|>", kControl);
  tokens.Add("<|im_", kControl);
  tokens.Add("<u>", kUser);
  tokens.Add("  ", kUser);
}

std::unique_ptr<Tokenizer> ByteLevel(std::string_view rule) {
  const std::vector<std::string> merges = {
      "a a", "aa aa", "e r", "t h", "th e", "\xC4\xA0 the", "\xC3\x83 \xC2\xA9", "< |"};
  Tokens tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.Add(SpellByte(static_cast<std::uint8_t>(byte)), kNormal);
  for (std::string merge : merges) tokens.Add(merge.erase(merge.find(' '), 1), kNormal);
  AddSpecials(tokens);
  return Load(tokens.Write("gpt2")
                  .String("tokenizer.ggml.pre", rule)
                  .Strings("tokenizer.ggml.merges", merges)
                  .Bool("tokenizer.ggml.add_bos_token", false));
}

std::unique_ptr<Tokenizer> SentencePiece(bool space_prefix) {
  Tokens tokens;
  tokens.Add("<unk>", 2);
  tokens.Add("<s>", kControl);
  tokens.Add("</s>", kControl);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    tokens.Add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", kByte);
  }
  float score = 0;
  for (const char* piece :
       {"aa", "aaaa", "th", "the", "er", "</", "s>", "a", "e", "t", "h", "\xC3\xA9"})
    tokens.Add(piece, kNormal, score -= 1);
  tokens.Add(kMark, kNormal, -20);
  tokens.Add(kMark + "the", kNormal, -2);
  AddSpecials(tokens);
  return Load(tokens.Write("llama")
                  .Bool("tokenizer.ggml.add_space_prefix", space_prefix)
                  .Bool("tokenizer.ggml.add_bos_token", false));
}

std::unique_ptr<Tokenizer> WordPiece() {
  Tokens tokens;
  for (const char* special : {"[UNK]", "[CLS]", "[SEP]"}) tokens.Add(special, kControl);
  for (const char* word : {"the", "a", "th", "\xC3\xA9", ".", "\xE4\xB8\xAD"})
    tokens.Add(kMark + word, kNormal);
  for (const char* piece : {"e", "a", "aa", "r", "\xE1\x85\xA1"}) tokens.Add(piece, kNormal);
  return Load(tokens.Write("bert")
                  .U32("tokenizer.ggml.unknown_token_id", 0)
                  .U32("tokenizer.ggml.cls_token_id", 1)
                  .U32("tokenizer.ggml.seperator_token_id", 2));
}

struct Subject {
  enum class Kind { kExact, kSpaceMarks, kLossy } kind;
  std::unique_ptr<Tokenizer> tokenizer;
};

std::vector<Subject> MakeSubjects() {
  std::vector<Subject> subjects;
  std::string names = KnownWordRules() + ", ";
  for (std::size_t at; (at = names.find(", ")) != std::string::npos; names.erase(0, at + 2))
    subjects.push_back({Subject::Kind::kExact, ByteLevel(names.substr(0, at))});
  subjects.push_back({Subject::Kind::kSpaceMarks, SentencePiece(true)});
  subjects.push_back({Subject::Kind::kSpaceMarks, SentencePiece(false)});
  subjects.push_back({Subject::Kind::kLossy, WordPiece()});
  return subjects;
}

std::string WithSpaces(std::string text) {
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos;)
    text.replace(at, kMark.size(), " ");
  return text;
}

void CheckText(const Subject& subject, std::string_view text) {
  const Tokenizer& tokenizer = *subject.tokenizer;
  const std::vector<std::uint32_t> tokens = tokenizer.Encode(text);
  for (const std::uint32_t token : tokens) Require(token < tokenizer.vocabulary_size());
  if (subject.kind == Subject::Kind::kLossy) return;
  // The tokens of text all have bytes; control tokens have none.
  for (const std::uint32_t token : tokens) Require(!tokenizer.TokenBytes(token).empty());
  const std::string decoded = tokenizer.Decode(tokens);
  Require(subject.kind == Subject::Kind::kExact ? decoded == text
                                                : decoded == WithSpaces(std::string(text)));
}

// The text as a prompt, cut at every 0x1E by turns into the template's and a message's. Where no
// message holds a part of a control token's spelling, none comes of it.
void CheckPrompt(const Subject& subject, std::string_view text) {
  if (subject.kind == Subject::Kind::kLossy) return;
  std::vector<PromptPiece> all_message, by_turns;
  std::string joined, trusted;
  for (bool from_template = false; !text.empty(); from_template = !from_template) {
    const std::size_t end = std::min(text.find('\x1E'), text.size());
    by_turns.push_back({std::string(text.substr(0, end)), from_template});
    all_message.push_back({by_turns.back().text, false});
    joined += by_turns.back().text;
    if (from_template) (trusted += by_turns.back().text) += '\0';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const Tokenizer& tokenizer = *subject.tokenizer;
  Require(tokenizer.EncodePrompt(all_message) == tokenizer.Encode(joined));
  if (trusted.find('<') == std::string::npos)
    Require(tokenizer.EncodePrompt(by_turns) == tokenizer.Encode(joined));
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = ReadUtf8(text);
    if (step.kind != Utf8Kind::kCharacter) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

void CheckAnswer(std::string_view text) {
  AnswerText whole({}), cut({});
  whole.Append(text);
  for (const char byte : text) cut.Append({&byte, 1});
  whole.Finish();
  cut.Finish();
  Require(whole.text() == cut.text() && IsUtf8(whole.text()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Subject> subjects = MakeSubjects();
  if (size == 0) return 0;
  // The first byte chooses the tokenizer; a printable one, so that seeds can be written.
  const Subject& subject =
      subjects[(data[0] + subjects.size() - '!' % subjects.size()) % subjects.size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  CheckText(subject, text);
  CheckPrompt(subject, text);
  CheckAnswer(text);
  return 0;
}
