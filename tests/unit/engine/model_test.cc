#include "engine/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/cpu/cpu_backend.h"
#include "engine/model/rotary_table.h"
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
  const Bytes file = GgufWriter().String("general.architecture", "mamba").Write();
  EXPECT_EQ(Refusal(file).code, ErrorCode::kUnimplemented);
  EXPECT_THAT(Refusal(file).message,
              AllOf(HasSubstr("\"mamba\""), HasSubstr("qwen2"), HasSubstr("gemma3")));
}

TEST(ModelCard, RefusesLogicItDoesNotCompute) {
  const auto scaled = [](GgufWriter& writer) { writer.String("llama.rope.scaling.type", "odd"); };
  EXPECT_THAT(Refusal(WithKey(scaled)).message, HasSubstr("llama.rope.scaling.type \"odd\""));
  const auto experts = [](GgufWriter& writer) { writer.U32("llama.expert_count", 8); };
  EXPECT_THAT(Refusal(WithKey(experts)).message, HasSubstr("llama.expert_count 8"));
  const auto partial = [](GgufWriter& writer) { writer.U32("llama.rope.dimension_count", 10); };
  EXPECT_THAT(Refusal(WithKey(partial)).message, HasSubstr("llama.rope.dimension_count 10"));
  const auto split = [](GgufWriter& writer) { writer.U32("split.no", 0).U32("split.count", 3); };
  EXPECT_THAT(Refusal(WithKey(split)).message, HasSubstr("part 1 of 3"));
  const auto ranked = [](GgufWriter& writer) { writer.U32("llama.pooling_type", 4); };
  EXPECT_THAT(Refusal(WithKey(ranked)).message, HasSubstr("llama.pooling_type 4"));
  const TinyModel strange{.extra_tensors = {"blk.0.attn_sinks.weight"}};
  EXPECT_EQ(Refusal(strange.Write()).code, ErrorCode::kUnimplemented);
  EXPECT_THAT(Refusal(strange.Write()).message, HasSubstr("blk.0.attn_sinks.weight"));
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

TEST(ModelReport, NamesEveryReasonAtOnce) {
  GgufWriter writer;
  const TinyModel tiny{.context = 0, .kv_heads = 3};
  tiny.WriteKeys(writer);
  writer.U32("llama.expert_count", 8).Bool("llama.rope.freq_base", true);
  const ModelReport report = ReadModelReport(tiny.WriteTensors(writer).Write());
  std::string all;
  for (const Error& refusal : report.refusals) all += refusal.message + "\n";
  EXPECT_EQ(report.refusals.size(), 4u) << all;
  EXPECT_THAT(all, AllOf(HasSubstr("llama.expert_count"), HasSubstr("llama.context_length"),
                         HasSubstr("head_count_kv 3"), HasSubstr("llama.rope.freq_base")));
  EXPECT_EQ(report.card.name, "Tiny");
  EXPECT_EQ(report.card.architecture, "llama");
}

TEST(ModelReport, CountsTheTensorsThatAreMissing) {
  GgufWriter writer;
  TinyModel().WriteKeys(writer);
  const ModelReport report = ReadModelReport(writer.Write());
  ASSERT_EQ(report.refusals.size(), 1u);
  // The embedding, the final norm and nine of each of two layers.
  EXPECT_THAT(report.refusals[0].message,
              AllOf(HasSubstr("tensors blk.0.attn_k.weight, blk.0.attn_norm.weight"),
                    HasSubstr("and 17 more are missing")));
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
  EXPECT_THAT(model.error().message,
              AllOf(HasSubstr("of 10000 bytes"), HasSubstr("weights of up to")));
}

TEST(Model, AStopBreaksALoadOffAndLeavesNothing) {
  const auto backend = NewCpuBackend({});
  const auto model =
      Model::Load(TinyModel().Write(), *backend, StepControl(StepControl::Start::kStopped));
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(backend->used_bytes(), 0u);
}

std::vector<float> RotaryTable(const RotarySpec& spec, std::span<const float> divisors,
                               std::uint32_t positions) {
  std::vector<float> table;
  EXPECT_TRUE(AppendRotaryTable(spec, divisors, positions, StepControl(), table).has_value());
  return table;
}

double Frequency(const std::vector<float>& table, std::uint32_t size, std::uint32_t i) {
  // The angle at position 1.
  return std::atan2(table[size + 2 * i + 1], table[size + 2 * i]);
}

TEST(RotaryTable, HoldsCosinesAndSinesOfEachAngle) {
  constexpr std::uint32_t kSize = 32;
  const auto table = RotaryTable({.size = kSize}, {}, 3000);
  for (std::uint32_t position = 0; position < 3000; position += 7) {
    for (std::uint32_t i = 0; i < kSize; i += 2) {
      const double angle = position * std::pow(10'000.0, -static_cast<double>(i) / kSize);
      ASSERT_NEAR(table[position * kSize + i], std::cos(angle), 1e-7);
      ASSERT_NEAR(table[position * kSize + i + 1], std::sin(angle), 1e-7);
    }
  }
}

TEST(RotaryTable, ScalesAndDividesFrequencies) {
  constexpr std::uint32_t kSize = 8;
  const std::vector<float> divisors = {1, 2, 4, 8};
  const auto table = RotaryTable({.size = kSize, .scale = 0.5}, divisors, 2);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const double plain = std::pow(10'000.0, -2.0 * i / kSize);
    EXPECT_NEAR(Frequency(table, kSize, i), plain * 0.5 / divisors[i], 1e-7);
  }
}

// YaRN with a factor of 4 on a context of 1,024: what turns more than 32 times there is kept, what
// turns less than once is scaled.
TEST(RotaryTable, KeepsQuickFrequenciesUnderYarnAndScalesSlowOnes) {
  constexpr std::uint32_t kSize = 64;
  const auto table = RotaryTable({.size = kSize,
                                  .scale = 0.25,
                                  .magnitude = 1.5,
                                  .yarn = YarnScaling{.original_context = 1024}},
                                 {}, 2);
  const auto plain = [](std::uint32_t i) { return std::pow(10'000.0, -2.0 * i / kSize); };
  EXPECT_NEAR(Frequency(table, kSize, 0), plain(0), 1e-6);
  EXPECT_NEAR(Frequency(table, kSize, 5), plain(5), 1e-6);
  EXPECT_NEAR(Frequency(table, kSize, 20), plain(20) / 4, 1e-6);
  EXPECT_NEAR(Frequency(table, kSize, 31), plain(31) / 4, 1e-6);
  EXPECT_GT(Frequency(table, kSize, 12), plain(12) / 4);
  EXPECT_LT(Frequency(table, kSize, 12), plain(12));
  EXPECT_NEAR(std::hypot(table[kSize], table[kSize + 1]), 1.5, 1e-6);
}

}  // namespace
}  // namespace fallow::engine
