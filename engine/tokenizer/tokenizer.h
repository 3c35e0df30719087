// A Tokenizer turns text into a model's token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::engine {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ordinary text only: what spells a special token stays text.
  virtual std::vector<std::uint32_t> Encode(std::string_view text) const = 0;
  // The id of a special token by its spelling, for chat formats. kNotFound if the vocabulary has
  // none.
  virtual Result<std::uint32_t> SpecialToken(std::string_view spelling) const = 0;
  // The bytes a token stands for; empty for special tokens. Bytes of several tokens may form one
  // character.
  virtual std::string_view TokenBytes(std::uint32_t token) const = 0;
  virtual std::uint32_t vocabulary_size() const = 0;
  // Generation ends at these.
  virtual bool IsEndOfGeneration(std::uint32_t token) const = 0;
};

}  // namespace fallow::engine
