// Lies of the format: header, keys, tensors.
#include <cstring>

#include "tests/unit/engine/lies.h"

namespace fallow::engine {
namespace {

constexpr std::uint32_t kF32Tensor = 0, kQ8Tensor = 8, kMxfp4Tensor = 39;
constexpr std::uint32_t kU8 = 0, kU64 = 10;

}  // namespace

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
      In("norm_of_blocks", "tensor output_norm.weight: type Q8_0 is not computed for norms",
         [](ModelParts& file) {
           TensorPart& norm = file.Tensor("output_norm.weight");
           norm.type = kQ8Tensor;
           norm.data.assign(34, 0);
         }),
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

}  // namespace fallow::engine
