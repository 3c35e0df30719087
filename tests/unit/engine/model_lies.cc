// Lies about the model: its shape, its vocabulary and template, and how much there is of it.
#include <fmt/format.h>

#include <limits>

#include "tests/unit/engine/lies.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kF32Tensor = 0;
constexpr std::uint32_t kU8 = 0, kBool = 7, kU64 = 10;

std::vector<std::string> SoundTokens() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
  tokens.insert(tokens.end(), {"<|im_start|>", "<|im_end|>"});
  return tokens;
}

}  // namespace

std::vector<Lie> ShapeLies() {
  const auto sets = [](const char* key, std::uint32_t value) {
    return [key, value](ModelParts& file) { file.SetU32(key, value); };
  };
  const auto removes = [](const char* key) {
    return [key](ModelParts& file) { file.Remove(key); };
  };
  const auto sets_real = [](const char* key, float value) {
    return [key, value](ModelParts& file) { file.SetF32(key, value); };
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return {
      In("no_architecture", "key general.architecture is missing", removes("general.architecture")),
      In("architecture_that_is_a_number", "key general.architecture at offset",
         sets("general.architecture", 7)),
      In("architecture_unknown", "general.architecture \"mamba\" is not computed",
         [](ModelParts& file) { file.SetString("general.architecture", "mamba"); }),
      In("no_context", "key llama.context_length is missing", removes("llama.context_length")),
      In("context_zero", "llama.context_length: 0;", sets("llama.context_length", 0)),
      In("context_huge", "llama.context_length: 1099511627776;",
         [](ModelParts& file) {
           file.Set("llama.context_length", kU64, GgufWriter::Value(std::uint64_t{1} << 40));
         }),
      In("context_negative", "key llama.context_length at offset",
         [](ModelParts& file) { file.SetI32("llama.context_length", -1); }),
      In("layers_zero", "llama.block_count: 0;", sets("llama.block_count", 0)),
      In("layers_huge", "llama.block_count: 4294967295;", sets("llama.block_count", ~0u)),
      In("layers_more_than_there_are", "tensors blk.1.attn_k.weight, blk.1.attn_norm.weight, ",
         sets("llama.block_count", 2)),
      In("width_zero", "llama.embedding_length: 0;", sets("llama.embedding_length", 0)),
      In("width_huge", "llama.embedding_length: 4294967295;", sets("llama.embedding_length", ~0u)),
      In("width_of_another_model", "tensor token_embd.weight: 32 x 258 values; 64 x 258 expected",
         sets("llama.embedding_length", 64)),
      In("feed_forward_huge", "llama.feed_forward_length: 4000000000;",
         sets("llama.feed_forward_length", 4'000'000'000)),
      In("heads_zero", "llama.attention.head_count: 0;", sets("llama.attention.head_count", 0)),
      In("heads_huge", "llama.attention.head_count: 100000;",
         sets("llama.attention.head_count", 100'000)),
      In("heads_that_do_not_divide_the_width", "llama.embedding_length 32 is no multiple",
         [](ModelParts& file) {
           file.Remove("llama.attention.key_length");
           file.SetU32("llama.attention.head_count", 3);
           file.SetU32("llama.attention.head_count_kv", 3);
         }),
      In("kv_heads_that_do_not_divide_the_heads", "llama.attention.head_count 4 is no multiple",
         sets("llama.attention.head_count_kv", 3)),
      In("kv_heads_zero", "llama.attention.head_count_kv: 0;",
         sets("llama.attention.head_count_kv", 0)),
      In("head_of_odd_size", "heads of 7 values are not computed",
         sets("llama.attention.key_length", 7)),
      In("values_longer_than_keys", "llama.attention.value_length 16",
         sets("llama.attention.value_length", 16)),
      In("epsilon_missing", "key llama.attention.layer_norm_rms_epsilon is missing",
         removes("llama.attention.layer_norm_rms_epsilon")),
      In("epsilon_nan", "key llama.attention.layer_norm_rms_epsilon at offset",
         sets_real("llama.attention.layer_norm_rms_epsilon", kNan)),
      In("epsilon_zero", "llama.attention.layer_norm_rms_epsilon: 0;",
         sets_real("llama.attention.layer_norm_rms_epsilon", 0)),
      In("rope_base_zero", "llama.rope.freq_base: 0;", sets_real("llama.rope.freq_base", 0)),
      // YaRN would divide by its logarithm.
      In("rope_base_one", "llama.rope.freq_base: 1;", sets_real("llama.rope.freq_base", 1)),
      In("rope_factor_of_nearly_nothing", "llama.rope.scaling.factor: 1.0000000031710769e-30;",
         sets_real("llama.rope.scaling.factor", 1e-30f)),
      In("rope_base_infinite", "key llama.rope.freq_base at offset",
         sets_real("llama.rope.freq_base", kInfinity)),
      In("rope_of_odd_size", "llama.rope.dimension_count 5", sets("llama.rope.dimension_count", 5)),
      In("rope_scaling_unknown", "llama.rope.scaling.type \"dynamic\" is not computed",
         [](ModelParts& file) { file.SetString("llama.rope.scaling.type", "dynamic"); }),
      In("pooling_unknown", "llama.pooling_type 4 is not computed", sets("llama.pooling_type", 4)),
      In("context_before_stretching_zero", "llama.rope.scaling.original_context_length is 0",
         [](ModelParts& file) {
           file.SetString("llama.rope.scaling.type", "yarn");
           file.SetU32("llama.rope.scaling.original_context_length", 0);
         }),
      In("window_beyond_any_context", "llama.attention.sliding_window: 3000000000;",
         sets("llama.attention.sliding_window", 3'000'000'000)),
      In("bert_that_does_not_say_how_it_pools", "bert.pooling_type is missing or 0",
         [](ModelParts& file) {
           file.SetString("general.architecture", "bert");
           for (KeyPart& key : file.keys) {
             if (key.name.starts_with("llama.")) key.name.replace(0, 5, "bert");
           }
         }),
      In("experts", "llama.expert_count 8 is not computed", sets("llama.expert_count", 8)),
      In("causal_that_is_a_number", "key llama.attention.causal at offset",
         sets("llama.attention.causal", 1)),
      In("looks_ahead_and_generates", "llama.attention.causal is false",
         [](ModelParts& file) { file.Set("llama.attention.causal", kBool, {0}); }),
      In("part_of_a_split_model", "part 2 of 3 of a split model",
         [](ModelParts& file) {
           file.SetU32("split.no", 1);
           file.SetU32("split.count", 3);
         }),
      In("part_beyond_its_count", "split.no: 3, of 3 parts",
         [](ModelParts& file) {
           file.SetU32("split.no", 3);
           file.SetU32("split.count", 3);
         }),
      In("parts_without_number", "key split.no is missing", sets("split.count", 3)),
  };
}

std::vector<Lie> TextLies() {
  return {
      In("no_tokenizer", "key tokenizer.ggml.model is missing",
         [](ModelParts& file) { file.Remove("tokenizer.ggml.model"); }),
      In("tokenizer_unknown", "tokenizer.ggml.model \"abacus\" is not known",
         [](ModelParts& file) { file.SetString("tokenizer.ggml.model", "abacus"); }),
      In("word_rule_unknown", "tokenizer.ggml.pre \"my-rule\" is not known",
         [](ModelParts& file) { file.SetString("tokenizer.ggml.pre", "my-rule"); }),
      In("no_tokens", "key tokenizer.ggml.tokens is missing",
         [](ModelParts& file) { file.Remove("tokenizer.ggml.tokens"); }),
      In("tokens_that_are_numbers", "expected an array of strings",
         [](ModelParts& file) {
           file.Key("tokenizer.ggml.tokens") = {"tokenizer.ggml.tokens", GgufWriter::kArray,
                                                file.Key("tokenizer.ggml.token_type").payload};
         }),
      In("tokens_empty", "tokenizer.ggml.tokens: 0 tokens",
         [](ModelParts& file) { file.SetStrings("tokenizer.ggml.tokens", {}); }),
      In("tokens_fewer_than_the_embedding", "tensor token_embd.weight: 32 x 258 values; 32 x 257",
         [](ModelParts& file) {
           auto tokens = SoundTokens();
           tokens.erase(tokens.begin() + 256);
           file.SetStrings("tokenizer.ggml.tokens", tokens);
           file.Remove("tokenizer.ggml.token_type");
           file.Remove("tokenizer.chat_template");
           file.SetU32("tokenizer.ggml.eos_token_id", 256);
         }),
      In("a_byte_without_token", "no token for byte 0x41",
         [](ModelParts& file) {
           auto tokens = SoundTokens();
           tokens[0x41] = "AA";
           file.SetStrings("tokenizer.ggml.tokens", tokens);
         }),
      In("kinds_fewer_than_tokens", "tokenizer.ggml.token_type: 1 entries for 258 tokens",
         [](ModelParts& file) {
           Bytes payload = GgufWriter::Value(GgufWriter::kI32);
           GgufWriter::Append(payload, std::uint64_t{1});
           GgufWriter::Append(payload, 1);
           file.Set("tokenizer.ggml.token_type", GgufWriter::kArray, payload);
         }),
      In("kinds_that_are_words", "key tokenizer.ggml.token_type at offset",
         [](ModelParts& file) { file.SetStrings("tokenizer.ggml.token_type", {"normal"}); }),
      In("token_twice", "entries 97 and 98 are both",
         [](ModelParts& file) {
           auto tokens = SoundTokens();
           tokens[98] = tokens[97];
           file.SetStrings("tokenizer.ggml.tokens", tokens);
         }),
      In("kind_unknown", "tokenizer.ggml.token_type: entry 3 is 77;",
         [](ModelParts& file) {
           constexpr std::size_t kHeadBytes = 12;
           file.Key("tokenizer.ggml.token_type").payload[kHeadBytes + 3 * 4] = 77;
         }),
      In("scores_missing", "tokenizer.ggml.scores is missing",
         [](ModelParts& file) { file.SetString("tokenizer.ggml.model", "llama"); }),
      In("score_nan", "tokenizer.ggml.scores: entry 257 is not a finite number",
         [](ModelParts& file) {
           file.SetString("tokenizer.ggml.model", "llama");
           file.SetArrayHead("tokenizer.ggml.scores", GgufWriter::kF32, 258);
           Bytes& payload = file.Key("tokenizer.ggml.scores").payload;
           payload.resize(payload.size() + 257 * 4);
           GgufWriter::Append(payload, std::numeric_limits<float>::quiet_NaN());
         }),
      In("unknown_token_beyond_the_vocabulary", "tokenizer.ggml.unknown_token_id: 258 is beyond",
         [](ModelParts& file) { file.SetU32("tokenizer.ggml.unknown_token_id", 258); }),
      In("merge_of_one_piece", "entry 0 (\"ab\") is not two pieces",
         [](ModelParts& file) { file.SetStrings("tokenizer.ggml.merges", {"ab"}); }),
      In("merge_of_a_piece_that_is_no_token", "entry 0 (\"a qq\") names a piece",
         [](ModelParts& file) { file.SetStrings("tokenizer.ggml.merges", {"a qq"}); }),
      In("end_token_beyond_the_vocabulary", "tokenizer.ggml.eos_token_id: 4000000 is beyond",
         [](ModelParts& file) { file.SetU32("tokenizer.ggml.eos_token_id", 4'000'000); }),
      In("end_token_negative", "key tokenizer.ggml.eos_token_id at offset",
         [](ModelParts& file) { file.SetI32("tokenizer.ggml.eos_token_id", -7); }),
      In("template_broken", "tokenizer.chat_template: ",
         [](ModelParts& file) {
           file.SetString("tokenizer.chat_template", "{% for message in messages %}{{");
         }),
      In("template_too_long", "chat template: 262145 bytes",
         [](ModelParts& file) {
           file.SetString("tokenizer.chat_template", std::string((256 << 10) + 1, 'x'));
         }),
      In("template_nested_too_deep", "column 1277: the template is nested deeper than 128",
         [](ModelParts& file) {
           std::string text;
           for (int depth = 0; depth < 10'000; ++depth) text += "{% if 1 %}";
           file.SetString("tokenizer.chat_template", text);
         }),
      In("template_of_parentheses", "column 131: the template is nested deeper than 128",
         [](ModelParts& file) {
           file.SetString("tokenizer.chat_template", "{{ " + std::string(100'000, '(') + "1" +
                                                         std::string(100'000, ')') + " }}");
         }),
      In("template_of_an_unknown_statement", "the statement \"include\" is not known",
         [](ModelParts& file) {
           file.SetString("tokenizer.chat_template", "{% include 'other' %}");
         }),
      In("template_that_is_a_number", "key tokenizer.chat_template at offset",
         [](ModelParts& file) { file.SetU32("tokenizer.chat_template", 1); }),
      In("name_that_is_a_number", "key general.name at offset 93",
         [](ModelParts& file) { file.SetU32("general.name", 7); }),
  };
}

std::vector<Lie> LargeLies() {
  return {
      In("as_many_keys_as_there_may_be", "65537 keys; at most 65536",
         [](ModelParts& file) {
           while (file.keys.size() < 65'537) file.SetAtEnd(fmt::format("k{}", file.keys.size()));
         }),
      In("many_keys_and_one_twice", "key k20 at offset",
         [](ModelParts& file) {
           while (file.keys.size() < 65'535) file.SetAtEnd(fmt::format("k{}", file.keys.size()));
           file.SetAtEnd("k20");
         }),
      In("many_tensors_too_many", "no place in what is computed",
         [](ModelParts& file) {
           while (file.tensors.size() < 65'536) {
             file.tensors.push_back(
                 {fmt::format("t{}", file.tensors.size()), {1}, kF32Tensor, Bytes(4), {}});
           }
         }),
      In("many_tokens_of_no_embedding", "32 x 258 values; 32 x 200000 expected",
         [](ModelParts& file) {
           auto tokens = SoundTokens();
           while (tokens.size() < 200'000) tokens.push_back(fmt::format("{:x}", tokens.size()));
           file.SetStrings("tokenizer.ggml.tokens", tokens);
           file.Remove("tokenizer.ggml.token_type");
         }),
      In("a_million_empty_tokens", "258 entries for 1048576 tokens",
         [](ModelParts& file) {
           file.SetStrings("tokenizer.ggml.tokens", std::vector<std::string>(1 << 20));
         }),
      In("kinds_of_a_byte_each", "token_type: 1048576 entries for 258 tokens",
         [](ModelParts& file) {
           file.SetArrayHead("tokenizer.ggml.token_type", kU8, 1 << 20);
           Bytes& payload = file.Key("tokenizer.ggml.token_type").payload;
           payload.resize(payload.size() + (1 << 20), 1);
         }),
      In("a_million_empty_arrays", "key nested at offset",
         [](ModelParts& file) {
           file.SetArrayHead("nested", GgufWriter::kArray, (1 << 20) + 1);
           Bytes& payload = file.Key("nested").payload;
           payload.resize(payload.size() + 12 * (1 << 20));
         }),
  };
}

}  // namespace fallow::engine
