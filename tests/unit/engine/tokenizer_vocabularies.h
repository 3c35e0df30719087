// Small made-up vocabularies of each kind, for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/load_tokenizer.h"
#include "tests/support/gguf_writer.h"

namespace fallow::engine {

inline constexpr std::int32_t kNormalType = 1, kUnknownType = 2, kControlType = 3, kUserType = 4,
                              kUnusedType = 5, kByteType = 6;
inline const std::string kMark = "\xE2\x96\x81";  // stands for a space

struct MadeToken {
  std::string spelling;
  std::int32_t type = kNormalType;
  float score = 0;
};

inline Bytes FloatArray(const std::vector<float>& values) {
  Bytes payload = GgufWriter::Value(GgufWriter::kF32);
  GgufWriter::Append(payload, std::uint64_t{values.size()});
  for (const float value : values) GgufWriter::Append(payload, value);
  return payload;
}

inline GgufWriter WriteTokens(std::string_view model, const std::vector<MadeToken>& tokens) {
  std::vector<std::string> spellings;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  for (const MadeToken& token : tokens) {
    spellings.push_back(token.spelling);
    types.push_back(token.type);
    scores.push_back(token.score);
  }
  GgufWriter writer;
  writer.String("tokenizer.ggml.model", model)
      .Strings("tokenizer.ggml.tokens", spellings)
      .Integers("tokenizer.ggml.token_type", types);
  if (model == "llama") {
    writer.Key("tokenizer.ggml.scores", GgufWriter::kArray, FloatArray(scores));
  }
  return writer;
}

// "gpt2": the 256 bytes at their own ids, then one token per merge ("a b" gives "ab"), then
// `others`. Token 0 ends generation.
inline GgufWriter ByteVocabulary(std::string_view rule, const std::vector<std::string>& merges,
                                 std::vector<MadeToken> others = {}) {
  std::vector<MadeToken> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back({SpellByte(static_cast<std::uint8_t>(byte))});
  for (std::string merge : merges) tokens.push_back({merge.erase(merge.find(' ', 1), 1)});
  tokens.insert(tokens.end(), others.begin(), others.end());
  GgufWriter writer = WriteTokens("gpt2", tokens);
  writer.String("tokenizer.ggml.pre", rule)
      .Strings("tokenizer.ggml.merges", merges)
      .U32("tokenizer.ggml.eos_token_id", 0);
  return writer;
}

// "llama": <unk> 0, <s> 1, </s> 2, the bytes from 3 on, then `pieces` from 259 on.
inline GgufWriter SentencePieceVocabulary(const std::vector<MadeToken>& pieces) {
  std::vector<MadeToken> tokens = {
      {"<unk>", kUnknownType}, {"<s>", kControlType}, {"</s>", kControlType}};
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    tokens.push_back(
        {std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", kByteType});
  }
  tokens.insert(tokens.end(), pieces.begin(), pieces.end());
  return WriteTokens("llama", tokens);
}
inline constexpr std::uint32_t kFirstByte = 3, kFirstPiece = 259;

// "bert": [UNK] 0, [CLS] 1, [SEP] 2, then `pieces` from 3 on.
inline GgufWriter WordPieceVocabulary(const std::vector<std::string>& pieces) {
  std::vector<MadeToken> tokens = {
      {"[UNK]", kControlType}, {"[CLS]", kControlType}, {"[SEP]", kControlType}};
  for (const std::string& piece : pieces) tokens.push_back({piece});
  GgufWriter writer = WriteTokens("bert", tokens);
  writer.U32("tokenizer.ggml.unknown_token_id", 0)
      .U32("tokenizer.ggml.cls_token_id", 1)
      .U32("tokenizer.ggml.seperator_token_id", 2);
  return writer;
}

inline Result<std::unique_ptr<Tokenizer>> TryLoad(const GgufWriter& writer) {
  const Bytes bytes = writer.Write();
  const auto file = GgufFile::Parse(bytes);
  if (!file.has_value()) return std::unexpected(file.error());
  return LoadTokenizer(*file);
}
inline std::unique_ptr<Tokenizer> Loaded(const GgufWriter& writer) {
  auto tokenizer = TryLoad(writer);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return tokenizer.has_value() ? *std::move(tokenizer) : nullptr;
}
// Why it is refused.
inline std::string Refusal(const GgufWriter& writer) {
  const auto tokenizer = TryLoad(writer);
  return tokenizer.has_value() ? "accepted" : tokenizer.error().message;
}

}  // namespace fallow::engine
