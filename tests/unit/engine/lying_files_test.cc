// Model files that lie, each about one thing: every one is refused by an error of its own that
// names the thing, and costs no more memory than its own size allows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>

#include "engine/model/model.h"
#include "tests/support/counted_memory.h"
#include "tests/unit/engine/model_parts.h"

namespace fallow::engine {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kNearly2To64 = ~std::uint64_t{0} - 3;
constexpr std::uint32_t kF32Tensor = 0, kQ8Tensor = 8, kMxfp4Tensor = 39;
constexpr std::uint32_t kU8 = 0, kU64 = 10;

struct Lie {
  std::string name;
  std::string expected;  // part of the error's message
  std::function<Bytes(ModelParts)> tell;
};

// A lie in the parts, after which the file is written as usual.
Lie In(std::string name, std::string expected, std::function<void(ModelParts&)> change) {
  return {std::move(name), std::move(expected), [change = std::move(change)](ModelParts parts) {
            change(parts);
            return parts.Write();
          }};
}

// A lie in the finished file's bytes.
Lie InBytes(std::string name, std::string expected, std::function<void(Bytes&)> change) {
  return {std::move(name), std::move(expected),
          [change = std::move(change)](const ModelParts& parts) {
            Bytes file = parts.Write();
            change(file);
            return file;
          }};
}

const ModelParts& Sound() {
  static const ModelParts parts = [] {
    TinyModel model;
    model.layers = 1;
    return ModelParts::Of(model.Write());
  }();
  return parts;
}

std::vector<Lie> HeaderLies() {
  return {
      InBytes("empty", "header at offset 0: the file ends", [](Bytes& file) { file.clear(); }),
      InBytes("other_magic", "the magic is not \"GGUF\"", [](Bytes& file) { file[3] = 'X'; }),
      InBytes("cut_in_version", "header at offset 4: the file ends",
              [](Bytes& file) { file.resize(6); }),
      InBytes("cut_in_counts", "header at offset 16: the file ends",
              [](Bytes& file) { file.resize(20); }),
      In("version_1", "version 1;", [](ModelParts& file) { file.version = 1; }),
      In("version_4", "version 4;", [](ModelParts& file) { file.version = 4; }),
      In("big_endian", "a big-endian file", [](ModelParts& file) { file.version = 0x03000000; }),
      In("tensor_count_nearly_2_to_64", "18446744073709551612 tensors; at most 65536",
         [](ModelParts& file) { file.tensor_count = kNearly2To64; }),
      In("key_count_nearly_2_to_64", "18446744073709551612 keys; at most 65536",
         [](ModelParts& file) { file.key_count = kNearly2To64; }),
      In("more_tensors_than_there_are", "tensor  at offset",
         [](ModelParts& file) { file.tensor_count = file.tensors.size() + 1; }),
      In("more_keys_than_there_are", "tensor number 0 at offset",
         [](ModelParts& file) { file.key_count = file.keys.size() + 1; }),
  };
}

std::vector<Lie> KeyLies() {
  return {
      InBytes("cut_in_first_key", "key number 0 at offset 32: the file ends",
              [](Bytes& file) { file.resize(40); }),
      InBytes("key_name_nearly_2_to_64",
              "key number 0 at offset 32: a string of 18446744073709551612 bytes",
              [](Bytes& file) { std::memcpy(&file[24], &kNearly2To64, 8); }),
      In("key_name_beyond_its_limit", "a string of 65536 bytes; at most 65535",
         [](ModelParts& file) { file.keys[0].name = std::string(65'536, 'k'); }),
      In("string_nearly_2_to_64", "key general.name at offset",
         [](ModelParts& file) {
           file.Set("general.name", GgufWriter::kString, GgufWriter::Value(kNearly2To64));
         }),
      In("string_beyond_its_limit", "a string of 4194305 bytes; at most 4194304",
         [](ModelParts& file) { file.SetString("general.name", std::string((4 << 20) + 1, 'x')); }),
      In("string_beyond_the_file", "4000000 bytes wanted",
         [](ModelParts& file) {
           file.Set("z", GgufWriter::kString, GgufWriter::Value(std::uint64_t{4'000'000}));
         }),
      In("unknown_value_type", "unknown value type 13",
         [](ModelParts& file) { file.Key("general.name").type = 13; }),
      In("bool_of_two", "a bool of value 2",
         [](ModelParts& file) { file.Set("z", GgufWriter::kBool, {2}); }),
      In("key_twice", "key llama.block_count at offset",
         [](ModelParts& file) { file.keys.push_back(file.Key("llama.block_count")); }),
      In("array_whose_bytes_overflow", "an array of 2305843009213693952 elements",
         [](ModelParts& file) { file.SetArrayHead("z", kU64, std::uint64_t{1} << 61); }),
      In("array_of_16_mi_numbers_in_a_small_file", "134217728 bytes wanted",
         [](ModelParts& file) { file.SetArrayHead("z", kU64, 16 << 20); }),
      In("array_of_16_mi_bytes_in_a_small_file", "16777216 bytes wanted",
         [](ModelParts& file) { file.SetArrayHead("z", kU8, 16 << 20); }),
      In("array_of_16_mi_strings_in_a_small_file", "key strings at offset",
         [](ModelParts& file) {
           file.SetArrayHead("strings", GgufWriter::kString, 16 << 20);
           file.tensors.clear();
         }),
      In("array_of_unknown_type", "unknown value type 77",
         [](ModelParts& file) { file.SetArrayHead("z", 77, 1); }),
      In("arrays_nested_too_deep", "arrays nested deeper than 4",
         [](ModelParts& file) {
           Bytes nested;
           for (int depth = 0; depth < 100; ++depth) {
             GgufWriter::Append(nested, GgufWriter::kArray);
             GgufWriter::Append(nested, std::uint64_t{1});
           }
           file.Set("z", GgufWriter::kArray, nested);
         }),
      In("array_of_16_mi_arrays_of_16_mi", "key bomb at offset",
         [](ModelParts& file) {
           Bytes bomb;
           for (int depth = 0; depth < 4; ++depth) {
             GgufWriter::Append(bomb, depth < 3 ? GgufWriter::kArray : GgufWriter::kString);
             GgufWriter::Append(bomb, std::uint64_t{16 << 20});
           }
           file.Set("bomb", GgufWriter::kArray, bomb);
         }),
      In("alignment_zero", "an alignment of 0;",
         [](ModelParts& file) { file.SetU32("general.alignment", 0); }),
      In("alignment_of_12", "an alignment of 12;",
         [](ModelParts& file) { file.SetU32("general.alignment", 12); }),
      In("alignment_of_a_gibibyte", "an alignment of 1073741824;",
         [](ModelParts& file) { file.SetU32("general.alignment", 1 << 30); }),
      In("alignment_of_words", "key general.alignment at offset",
         [](ModelParts& file) { file.SetString("general.alignment", "32"); }),
  };
}

std::vector<Lie> TensorLies() {
  return {
      InBytes("cut_in_tensor_entries", "tensor number 3 at offset",
              [](Bytes& file) {
                const auto at = AsText(file).find("blk.0.attn_norm.weight");
                file.resize(at - 4);
              }),
      InBytes("cut_in_data", "at 33024 of the data section reach beyond the file",
              [](Bytes& file) { file.resize(file.size() / 2); }),
      InBytes("cut_by_one_byte", "tensor blk.0.ffn_down.weight at offset",
              [](Bytes& file) { file.pop_back(); }),
      In("name_of_65_bytes", "a string of 65 bytes; at most 64",
         [](ModelParts& file) { file.tensors[0].name = std::string(65, 't'); }),
      In("tensor_twice", "tensor output.weight at offset",
         [](ModelParts& file) { file.tensors.push_back(file.Tensor("output.weight")); }),
      In("no_dimensions", "tensor output_norm.weight at offset",
         [](ModelParts& file) { file.Tensor("output_norm.weight").dimensions.clear(); }),
      In("five_dimensions", "5 dimensions; 1 to 4",
         [](ModelParts& file) {
           file.tensors[0].dimensions = {1, 1, 1, 1, 1};
         }),
      In("dimension_zero", "a dimension of 0",
         [](ModelParts& file) {
           file.tensors[0].dimensions = {32, 0};
         }),
      In("dimensions_that_overflow", "tensor token_embd.weight at offset",
         [](ModelParts& file) {
           file.tensors[0].dimensions = {std::uint64_t{1} << 33, std::uint64_t{1} << 33};
         }),
      In("dimension_nearly_2_to_64", "tensor blk.0.attn_k.weight at offset",
         [](ModelParts& file) { file.Tensor("blk.0.attn_k.weight").dimensions = {kNearly2To64}; }),
      In("unknown_tensor_type", "unknown tensor type 43;",
         [](ModelParts& file) { file.tensors[0].type = 43; }),
      In("tensor_type_minus_one", "unknown tensor type 4294967295",
         [](ModelParts& file) { file.tensors[0].type = ~0u; }),
      In("rows_that_are_no_whole_blocks", "rows of 33 do not split into blocks of 32 (Q8_0)",
         [](ModelParts& file) {
           file.tensors[0].dimensions[0] = 33;
           file.tensors[0].type = kQ8Tensor;
         }),
      In("data_not_aligned", "its data at 4 is not aligned to 32 bytes",
         [](ModelParts& file) { file.tensors[0].offset = 4; }),
      In("data_beyond_the_file", "at 4294967296 of the data section reach beyond the file",
         [](ModelParts& file) { file.tensors[0].offset = std::uint64_t{1} << 32; }),
      In("data_offset_nearly_2_to_64", "at 18446744073709551584 of the data section",
         [](ModelParts& file) { file.tensors[0].offset = ~std::uint64_t{0} - 31; }),
      In("data_that_overlaps", "its data overlaps that of token_embd.weight",
         [](ModelParts& file) { file.Tensor("output.weight").offset = 32; }),
      In("two_tensors_in_one_place", "its data overlaps that of blk.0.attn_q.weight",
         [](ModelParts& file) {
           const TensorPart& q = file.Tensor("blk.0.attn_q.weight");
           std::uint64_t offset = 0;
           for (const TensorPart& tensor : file.tensors) {
             if (tensor.name == q.name) break;
             offset += (tensor.data.size() + 31) / 32 * 32;
           }
           file.Tensor("blk.0.ffn_up.weight").offset = offset;
         }),
      In("type_that_is_not_computed", "blk.0.ffn_gate.weight: type MXFP4 is not computed",
         [](ModelParts& file) { file.Tensor("blk.0.ffn_gate.weight").type = kMxfp4Tensor; }),
      In("tensor_missing", "tensor output_norm.weight is missing",
         [](ModelParts& file) { file.RemoveTensor("output_norm.weight"); }),
      In("embedding_missing", "tensor token_embd.weight is missing",
         [](ModelParts& file) { file.RemoveTensor("token_embd.weight"); }),
      In("tensor_too_many", "blk.0.attn_sinks.weight has no place",
         [](ModelParts& file) {
           file.tensors.push_back({"blk.0.attn_sinks.weight", {4}, kF32Tensor, Bytes(16), {}});
         }),
      In("matrix_on_its_side", "tensor blk.0.ffn_down.weight: 32 x 64 values; 64 x 32 expected",
         [](ModelParts& file) {
           file.Tensor("blk.0.ffn_down.weight").dimensions = {32, 64};
         }),
      In("matrix_of_three_dimensions", "tensor blk.0.ffn_up.weight: 32 x ",
         [](ModelParts& file) {
           file.Tensor("blk.0.ffn_up.weight").dimensions = {32, 32, 2};
         }),
      In("norm_too_short", "tensor blk.0.attn_norm.weight: 16 x 1 values; 32 x 1 expected",
         [](ModelParts& file) {
           file.Tensor("blk.0.attn_norm.weight").dimensions = {16};
           file.Tensor("blk.0.attn_norm.weight").data.resize(64);
         }),
  };
}

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
      In("layers_more_than_there_are", "tensor blk.1.attn_norm.weight is missing",
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
      In("rope_base_infinite", "key llama.rope.freq_base at offset",
         sets_real("llama.rope.freq_base", kInfinity)),
      In("rope_of_odd_size", "llama.rope.dimension_count 5", sets("llama.rope.dimension_count", 5)),
      In("rope_scaling_unknown", "llama.rope.scaling.type \"dynamic\" is not computed",
         [](ModelParts& file) { file.SetString("llama.rope.scaling.type", "dynamic"); }),
      In("experts", "llama.expert_count 8 is not computed", sets("llama.expert_count", 8)),
      In("causal_that_is_a_number", "key llama.attention.causal at offset",
         sets("llama.attention.causal", 1)),
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
  const auto tokens_of = [](const ModelParts&) {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
    tokens.insert(tokens.end(), {"<|im_start|>", "<|im_end|>"});
    return tokens;
  };
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
         [tokens_of](ModelParts& file) {
           auto tokens = tokens_of(file);
           tokens.erase(tokens.begin() + 256);
           file.SetStrings("tokenizer.ggml.tokens", tokens);
           file.Remove("tokenizer.ggml.token_type");
           file.Remove("tokenizer.chat_template");
           file.SetU32("tokenizer.ggml.eos_token_id", 256);
         }),
      In("a_byte_without_token", "no token for byte 0x41",
         [tokens_of](ModelParts& file) {
           auto tokens = tokens_of(file);
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
      In("template_that_is_a_number", "key tokenizer.chat_template at offset",
         [](ModelParts& file) { file.SetU32("tokenizer.chat_template", 1); }),
      In("name_that_is_a_number", "key general.name at offset 93",
         [](ModelParts& file) { file.SetU32("general.name", 7); }),
  };
}

// Lies that cost as much memory as they can: many entries, all of them there.
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
           std::vector<std::string> tokens;
           for (int byte = 0; byte < 256; ++byte)
             tokens.push_back(SpellByte(static_cast<std::uint8_t>(byte)));
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

std::vector<Lie> AllLies() {
  std::vector<Lie> all;
  for (auto lies : {HeaderLies(), KeyLies(), TensorLies(), ShapeLies(), TextLies(), LargeLies()})
    all.insert(all.end(), lies.begin(), lies.end());
  return all;
}

// The refusal that names the lie; the first one if none does.
std::string RefusalOf(const Lie& lie, const ModelReport& report) {
  for (const Error& refusal : report.refusals) {
    if (refusal.message.find(lie.expected) != std::string::npos) return refusal.message;
  }
  return report.refusals.empty() ? "accepted" : report.refusals.front().message;
}

TEST(LyingFiles, TheFileTheyAreMadeOfIsSound) {
  const ModelReport report = ReadModelReport(Sound().Write());
  EXPECT_TRUE(report.refusals.empty()) << report.refusals.front().message;
}

TEST(LyingFiles, EachIsRefusedByAnErrorOfItsOwn) {
  std::map<std::string, std::string> lie_of_error;
  for (const Lie& lie : AllLies()) {
    const std::string refusal = RefusalOf(lie, ReadModelReport(lie.tell(Sound())));
    EXPECT_THAT(refusal, HasSubstr(lie.expected)) << lie.name;
    const auto [other, is_new] = lie_of_error.emplace(refusal, lie.name);
    EXPECT_TRUE(is_new) << lie.name << " and " << other->second << " are both told: " << refusal;
  }
  EXPECT_GE(lie_of_error.size(), 50u);
}

TEST(LyingFiles, NoMessageIsLongOrSteersATerminal) {
  constexpr std::size_t kMaxMessageBytes = 400;
  for (const Lie& lie : AllLies()) {
    for (const Error& refusal : ReadModelReport(lie.tell(Sound())).refusals) {
      EXPECT_LE(refusal.message.size(), kMaxMessageBytes) << lie.name << ": " << refusal.message;
      EXPECT_EQ(refusal.message.find_first_of("\n\r\x1b"), std::string::npos) << lie.name;
    }
  }
}

// A token of a vocabulary takes a dozen bytes of a file at least, and nodes and strings of some
// hundred bytes in memory; nothing else takes more for its size. What grows by what a file only
// says is a bomb.
TEST(LyingFiles, NoneTakesMoreMemoryThanItsSizeAllows) {
  constexpr std::size_t kAtLeastBytes = 256 << 10;
  constexpr std::size_t kTimesTheFile = 20;
  for (const Lie& lie : AllLies()) {
    const Bytes file = lie.tell(Sound());
    const std::size_t before = CountedBytes();
    ResetCountedPeak();
    (void)ReadModelReport(file);
    EXPECT_LE(CountedPeakBytes() - before, kAtLeastBytes + kTimesTheFile * file.size())
        << lie.name << ", a file of " << file.size() << " bytes";
    EXPECT_EQ(CountedBytes(), before) << lie.name << " leaves something behind";
  }
}

}  // namespace
}  // namespace fallow::engine
