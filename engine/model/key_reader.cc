#include "engine/model/key_reader.h"

#include <fmt/format.h>

#include "engine/exact_double.h"
#include "engine/model/limits.h"

namespace fallow::engine {
namespace {

// The contract's reciprocal square root wants what it adds this to away from denormals. The usual
// 1e-12 is a little less as an f32.
constexpr RealLimits kEpsilonLimits{0x1p-40, 1};
constexpr double kMinRotaryFactor = 1e-3;  // angles stay within what their functions take
constexpr RealLimits kRotaryFactorLimits{0, 1e6};

void ReadSizes(KeyReader& keys, ModelShape& shape) {
  shape.context_length = keys.Size("context_length", kMaxContextTokens);
  shape.layer_count = keys.Size("block_count", kMaxLayers);
  shape.embedding_length = keys.Size("embedding_length", kMaxEmbeddingLength);
  shape.feed_forward_length = keys.Size("feed_forward_length", kMaxFeedForwardLength);
}

void ReadHeads(KeyReader& keys, ModelShape& shape) {
  AttentionShape& attention = shape.attention;
  attention.head_count = keys.Size("attention.head_count", kMaxHeads);
  attention.kv_head_count = attention.head_count;
  if (keys.file().Find(keys.Name("attention.head_count_kv")) != nullptr)
    attention.kv_head_count = keys.Size("attention.head_count_kv", kMaxHeads);
  if (attention.head_count % attention.kv_head_count != 0) {
    keys.refusals().AddWrong(fmt::format("{} {} is no multiple of head_count_kv {}",
                                         keys.Name("attention.head_count"), attention.head_count,
                                         attention.kv_head_count));
  }
  attention.head_size = shape.embedding_length / attention.head_count;
  if (keys.file().Find(keys.Name("attention.key_length")) != nullptr) {
    attention.head_size = keys.Size("attention.key_length", kMaxEmbeddingLength);
  } else if (shape.embedding_length % attention.head_count != 0) {
    keys.refusals().AddWrong(fmt::format("{} {} is no multiple of head_count {}",
                                         keys.Name("embedding_length"), shape.embedding_length,
                                         attention.head_count));
  }
  if (attention.head_size == 0 || attention.head_size % 2 != 0 ||
      attention.head_size > kMaxHeadValues) {
    keys.refusals().AddNotComputed(
        fmt::format("heads of {} values are not computed; even sizes up to {} are",
                    attention.head_size, kMaxHeadValues));
  }
  const auto value_length = keys.FindSize("attention.value_length", kMaxEmbeddingLength);
  if (value_length.value_or(attention.head_size) != attention.head_size) {
    keys.refusals().AddNotComputed(fmt::format("{} {} with heads of {} is not computed",
                                               keys.Name("attention.value_length"), *value_length,
                                               attention.head_size));
  }
  attention.scale_divisor = attention.head_size;
}

void ReadPooling(KeyReader& keys, ModelShape& shape) {
  shape.looks_ahead = !keys.Flag("attention.causal", true);
  const auto pooling = keys.FindSize("pooling_type", 255);
  constexpr Pooling kPoolings[] = {Pooling::kNone, Pooling::kMean, Pooling::kFirst, Pooling::kLast};
  if (!pooling.has_value()) return;
  if (*pooling < std::size(kPoolings)) {
    shape.pooling = kPoolings[*pooling];
  } else {
    keys.refusals().AddNotComputed(
        fmt::format("{} {} is not computed; 0 (none), 1 (mean), 2 (first) and 3 (last) are",
                    keys.Name("pooling_type"), *pooling));
  }
}

// Linear scaling has a factor alone, under its present name or its older one.
double ReadFactor(KeyReader& keys) {
  for (const std::string_view key : {"rope.scaling.factor", "rope.scale_linear"}) {
    const double factor = keys.FindReal(key, kRotaryFactorLimits).value_or(0);
    if (factor >= kMinRotaryFactor) return factor;
    if (factor != 0) {
      keys.refusals().AddWrong(fmt::format("{}: {}; 0 and from {} on are allowed", keys.Name(key),
                                           factor, kMinRotaryFactor));
    }
  }
  return 1;
}

void ReadYarn(KeyReader& keys, double factor, ModelShape& shape) {
  YarnScaling& yarn = shape.rotary.yarn.emplace();
  yarn.original_context = keys.FindSize("rope.scaling.original_context_length", kMaxContextTokens)
                              .value_or(shape.context_length);
  yarn.beta_fast = keys.FindReal("rope.scaling.yarn_beta_fast", {1e-3, 1e6}).value_or(32);
  yarn.beta_slow = keys.FindReal("rope.scaling.yarn_beta_slow", {1e-3, 1e6}).value_or(1);
  if (yarn.original_context == 0) {
    keys.refusals().AddWrong(
        fmt::format("{} is 0", keys.Name("rope.scaling.original_context_length")));
  }
  if (factor > 1) shape.rotary.magnitude *= 1 + 0.1 * DoubleLog(factor);
}

}  // namespace

std::string KeyReader::Name(std::string_view key) const {
  return fmt::format("{}.{}", architecture_, key);
}

template <class T>
std::optional<T> KeyReader::Checked(Result<std::optional<T>> found) {
  if (found.has_value()) return *std::move(found);
  refusals_.Add(std::move(found).error());
  return std::nullopt;
}

std::uint32_t KeyReader::Size(std::string_view key, std::uint64_t limit) {
  const std::string name = Name(key);
  const auto value = file_.RequireUint(name);
  if (!value.has_value()) {
    refusals_.Add(value.error());
    return 1;
  }
  if (*value >= 1 && *value <= limit) return static_cast<std::uint32_t>(*value);
  refusals_.AddWrong(fmt::format("{}: {}; 1 to {} are allowed", name, *value, limit));
  return 1;
}

std::optional<std::uint32_t> KeyReader::FindSize(std::string_view key, std::uint64_t limit) {
  const std::string name = Name(key);
  const auto value = Checked(file_.FindUint(name));
  if (!value.has_value()) return std::nullopt;
  if (*value <= limit) return static_cast<std::uint32_t>(*value);
  refusals_.AddWrong(fmt::format("{}: {}; at most {} is allowed", name, *value, limit));
  return std::nullopt;
}

std::optional<double> KeyReader::FindReal(std::string_view key, RealLimits limits) {
  const std::string name = Name(key);
  const auto value = Checked(file_.FindFloat(name));
  if (!value.has_value()) return std::nullopt;
  if (*value >= limits.low && *value <= limits.high) return value;
  refusals_.AddWrong(
      fmt::format("{}: {}; {} to {} are allowed", name, *value, limits.low, limits.high));
  return std::nullopt;
}

double KeyReader::Real(std::string_view key, RealLimits limits) {
  const std::string name = Name(key);
  if (file_.Find(name) == nullptr) refusals_.AddWrong(fmt::format("key {} is missing", name));
  return FindReal(key, limits).value_or(limits.high);
}

bool KeyReader::Flag(std::string_view key, bool otherwise) {
  return Checked(file_.FindBool(Name(key))).value_or(otherwise);
}

std::optional<std::string_view> KeyReader::FindText(std::string_view key) {
  return Checked(file_.FindString(Name(key)));
}

void KeyReader::RefuseUnlessZero(std::string_view key) {
  const auto value = Checked(file_.FindUint(Name(key)));
  if (value.value_or(0) == 0) return;
  refusals_.AddNotComputed(fmt::format("{} {} is not computed", Name(key), *value));
}

void ReadTransformerKeys(KeyReader& keys, std::string_view epsilon_key, ModelShape& shape) {
  keys.RefuseUnlessZero("expert_count");
  ReadSizes(keys, shape);
  ReadHeads(keys, shape);
  ReadPooling(keys, shape);
  shape.norm_epsilon = static_cast<float>(keys.Real(epsilon_key, kEpsilonLimits));
}

void ReadRotaryKeys(KeyReader& keys, RotaryPairs pairs, ModelShape& shape) {
  RotarySpec& rotary = shape.rotary;
  rotary.pairs = pairs;
  rotary.base = keys.FindReal("rope.freq_base", kRotaryBaseLimits).value_or(10'000);
  const std::uint32_t head_size = shape.attention.head_size;
  rotary.size = keys.FindSize("rope.dimension_count", kMaxEmbeddingLength).value_or(head_size);
  if (rotary.size == 0 || rotary.size % 2 != 0 || rotary.size > head_size) {
    keys.refusals().AddNotComputed(
        fmt::format("{} {} with heads of {} is not computed; even numbers up to that are",
                    keys.Name("rope.dimension_count"), rotary.size, head_size));
  }
  // Without a type a factor means linear scaling.
  const std::string_view type = keys.FindText("rope.scaling.type").value_or("linear");
  if (type == "none" || type == "longrope") return;
  const double factor = ReadFactor(keys);
  rotary.scale = 1 / factor;
  rotary.magnitude =
      keys.FindReal("rope.scaling.attn_factor", {1e-3, 1e3}).value_or(rotary.magnitude);
  if (type == "yarn") {
    ReadYarn(keys, factor, shape);
  } else if (type != "linear") {
    keys.refusals().AddNotComputed(
        fmt::format("{} \"{}\" is not computed; none, linear, yarn and longrope are",
                    keys.Name("rope.scaling.type"), Shown(type)));
  }
}

void ReadDecoderKeys(KeyReader& keys, RotaryPairs pairs, ModelShape& shape) {
  ReadTransformerKeys(keys, "attention.layer_norm_rms_epsilon", shape);
  if (shape.looks_ahead && shape.pooling == Pooling::kNone) {
    keys.refusals().AddNotComputed(
        fmt::format("{} is false, which is computed of models that embed alone, and {} is missing "
                    "or 0: each token would change the states before it",
                    keys.Name("attention.causal"), keys.Name("pooling_type")));
  }
  ReadRotaryKeys(keys, pairs, shape);
  if (keys.file().FindTensor("rope_freqs.weight") != nullptr)
    shape.rotary.divisors = "rope_freqs.weight";
}

}  // namespace fallow::engine
