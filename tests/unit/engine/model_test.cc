#include "engine/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/cpu/cpu_backend.h"
#include "engine/model/rope_table.h"
#include "tests/golden/demo_model.h"
#include "tests/unit/engine/tiny_model.h"

namespace fallow::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Error Refusal(const Bytes& file) {
  const auto card = ReadModelCard(file);
  return card.has_value() ? Error{ErrorCode::kInternal, "accepted"} : card.error();
}

// A tiny model with one more key.
template <class AddKey>
Bytes WithKey(AddKey add_key) {
  GgufWriter writer;
  TinyModel().WriteKeys(writer);
  add_key(writer);
  return TinyModel().WriteTensors(writer).Write();
}

TEST(ModelCard, SaysWhatTheDemoModelIs) {
  const auto card = ReadModelCard(ReadWholeFile(DemoFolder() / "field-normalizer-q8_0.gguf"));
  ASSERT_TRUE(card.has_value()) << card.error().message;
  EXPECT_EQ(card->architecture, "llama");
  EXPECT_EQ(card->name, "Field Normalizer");
  EXPECT_EQ(card->parameter_count, 2'500'864u);
  EXPECT_EQ(card->context_length, 256u);
  EXPECT_EQ(card->layer_count, 6u);
  EXPECT_EQ(card->embedding_length, 256u);
  EXPECT_EQ(card->vocabulary_size, 270u);
  EXPECT_EQ(card->weight_types, "F32 13, Q8_0 44");
  EXPECT_EQ(card->tokenizer, "gpt2 (gpt-2)");
  EXPECT_TRUE(card->chat);
}

TEST(ModelCard, RefusesOtherArchitecturesByName) {
  const Bytes file = GgufWriter().String("general.architecture", "qwen2").Write();
  EXPECT_EQ(Refusal(file).code, ErrorCode::kUnimplemented);
  EXPECT_THAT(Refusal(file).message, HasSubstr("\"qwen2\""));
}

TEST(ModelCard, RefusesLogicItDoesNotCompute) {
  const auto scaled = [](GgufWriter& writer) { writer.String("llama.rope.scaling.type", "yarn"); };
  EXPECT_THAT(Refusal(WithKey(scaled)).message, HasSubstr("llama.rope.scaling.type \"yarn\""));
  const auto stretched = [](GgufWriter& writer) { writer.F32("llama.rope.scaling.factor", 4); };
  EXPECT_THAT(Refusal(WithKey(stretched)).message, HasSubstr("llama.rope.scaling.factor 4"));
  const auto experts = [](GgufWriter& writer) { writer.U32("llama.expert_count", 8); };
  EXPECT_THAT(Refusal(WithKey(experts)).message, HasSubstr("llama.expert_count 8"));
  const auto partial = [](GgufWriter& writer) { writer.U32("llama.rope.dimension_count", 4); };
  EXPECT_THAT(Refusal(WithKey(partial)).message, HasSubstr("llama.rope.dimension_count 4"));
  const auto split = [](GgufWriter& writer) { writer.U32("split.count", 3); };
  EXPECT_THAT(Refusal(WithKey(split)).message, HasSubstr("split.count 3"));
  const TinyModel biased{.extra_tensors = {"blk.0.attn_q.bias"}};
  EXPECT_EQ(Refusal(biased.Write()).code, ErrorCode::kUnimplemented);
  EXPECT_THAT(Refusal(biased.Write()).message, HasSubstr("blk.0.attn_q.bias"));
}

TEST(ModelCard, RefusesShapesThatContradictEachOther) {
  EXPECT_THAT(Refusal(TinyModel{.kv_heads = 3}.Write()).message,
              HasSubstr("head_count 4 is no multiple"));
  EXPECT_THAT(Refusal(TinyModel{.head_size = 7}.Write()).message, HasSubstr("heads of 7"));
  EXPECT_THAT(Refusal(TinyModel{.left_out = "blk.1.ffn_up.weight"}.Write()).message,
              HasSubstr("tensor blk.1.ffn_up.weight is missing"));
  EXPECT_THAT(Refusal(TinyModel{.left_out = "token_embd.weight"}.Write()).message,
              HasSubstr("token_embd.weight"));
  GgufWriter other_width;
  TinyModel{.width = 64}.WriteKeys(other_width);
  EXPECT_THAT(Refusal(TinyModel().WriteTensors(other_width).Write()).message,
              AllOf(HasSubstr("token_embd.weight"), HasSubstr("64 x 258 expected")));
  EXPECT_THAT(Refusal(TinyModel{.context = 0}.Write()).message,
              HasSubstr("llama.context_length: 0"));
  EXPECT_THAT(Refusal(TinyModel{.context = 2'000'000}.Write()).message,
              HasSubstr("llama.context_length: 2000000"));
}

// Whatever a file lacks or says twice, the answer is an error: no truncation of a whole model is
// taken for one.
TEST(ModelCard, RefusesTruncatedModels) {
  const Bytes whole = TinyModel().Write();
  ASSERT_TRUE(ReadModelCard(whole).has_value());
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    ASSERT_FALSE(ReadModelCard(ByteView(whole).first(size)).has_value()) << size;
  }
}

TEST(Model, RefusesWeightsThatAreNotFinite) {
  for (const std::string name : {"blk.1.attn_k.weight", "blk.0.ffn_norm.weight"}) {
    GgufWriter writer;
    const TinyModel tiny{.left_out = name};
    tiny.WriteKeys(writer);
    const bool norm = name.find("norm") != std::string::npos;
    Bytes data(norm ? 32 * 4 : 32 * 16 * 4);
    const float infinity = INFINITY;
    std::memcpy(&data[40], &infinity, 4);
    const Bytes file =
        tiny.WriteTensors(writer)
            .Tensor(name,
                    norm ? std::vector<std::uint64_t>{32} : std::vector<std::uint64_t>{32, 16}, 0,
                    data)
            .Write();
    const auto backend = NewCpuBackend({});
    const auto model = Model::Load(file, *backend);
    ASSERT_FALSE(model.has_value());
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(model.error().message, AllOf(HasSubstr(name), HasSubstr("not a finite number")));
  }
}

TEST(Model, SaysHowMuchMemoryItLacks) {
  const auto backend = NewCpuBackend({.memory_bytes = 10'000});
  const auto model = Model::Load(TinyModel().Write(), *backend);
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(model.error().message, HasSubstr("10000 bytes"));
}

TEST(RopeTable, HoldsCosinesAndSinesOfEachAngle) {
  constexpr std::uint32_t kHeadSize = 32;
  const auto table = RopeTable(kHeadSize, 3000, 10'000.0);
  for (std::uint32_t position = 0; position < 3000; position += 7) {
    for (std::uint32_t i = 0; i < kHeadSize; i += 2) {
      const double angle = position * std::pow(10'000.0, -static_cast<double>(i) / kHeadSize);
      ASSERT_NEAR(table[position * kHeadSize + i], std::cos(angle), 1e-7);
      ASSERT_NEAR(table[position * kHeadSize + i + 1], std::sin(angle), 1e-7);
    }
  }
}

}  // namespace
}  // namespace fallow::engine
