// A KeyReader reads an architecture's keys: "attention.head_count" is `llama.attention.head_count`
// in a file of the llama architecture. What is wrong is added to the refusals, and reading goes on
// with a harmless value, so that one pass names everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/gguf/gguf_file.h"
#include "engine/model/model_shape.h"
#include "engine/model/refusals.h"

namespace fallow::engine {

struct RealLimits {
  double low = 0;
  double high = 0;
};

// YaRN divides by the base's logarithm.
inline constexpr RealLimits kRotaryBaseLimits{2, 1e12};

class KeyReader {
 public:
  KeyReader(const GgufFile& file, std::string_view architecture, Refusals& refusals)
      : file_(file), architecture_(architecture), refusals_(refusals) {}

  const GgufFile& file() const { return file_; }
  Refusals& refusals() { return refusals_; }
  std::string Name(std::string_view key) const;

  // 1 … limit; 1 where it is wrong.
  std::uint32_t Size(std::string_view key, std::uint64_t limit);
  // 0 … limit; none where the key is absent or wrong.
  std::optional<std::uint32_t> FindSize(std::string_view key, std::uint64_t limit);
  double Real(std::string_view key, RealLimits limits);
  std::optional<double> FindReal(std::string_view key, RealLimits limits);
  bool Flag(std::string_view key, bool otherwise);
  std::optional<std::string_view> FindText(std::string_view key);
  // Refuses a key that is there and holds anything but 0.
  void RefuseUnlessZero(std::string_view key);

 private:
  template <class T>
  std::optional<T> Checked(Result<std::optional<T>> found);

  const GgufFile& file_;
  std::string_view architecture_;
  Refusals& refusals_;
};

// The keys that every family of transformers has. The norms' epsilon is `epsilon_key`.
void ReadTransformerKeys(KeyReader& keys, std::string_view epsilon_key, ModelShape& shape);
// The rotary keys: base, size, and scaling by a factor or by YaRN.
void ReadRotaryKeys(KeyReader& keys, RotaryPairs pairs, ModelShape& shape);
// Both, for decoders with RMS norms. Tensor `rope_freqs` divides the frequencies where it is there.
void ReadDecoderKeys(KeyReader& keys, RotaryPairs pairs, ModelShape& shape);

}  // namespace fallow::engine
