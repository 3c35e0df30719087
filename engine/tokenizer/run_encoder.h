// A RunEncoder turns a run of ordinary text, which lies between special tokens or the text's ends,
// into tokens: what sets one kind of tokenizer apart from another.
//
// Threading: immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/vocabulary.h"

namespace fallow::engine {

class RunEncoder {
 public:
  virtual ~RunEncoder() = default;
  // Appends the tokens of `run`, which is not empty and has below 1 GiB.
  virtual void Encode(std::string_view run, std::vector<std::uint32_t>& tokens) const = 0;
  // The bytes of an ordinary token.
  virtual std::string Decode(std::uint32_t token, std::string_view spelling,
                             TokenKind kind) const = 0;
  // A run is encoded with a space in front, which decoding takes away again.
  virtual bool puts_space_in_front() const = 0;
};

}  // namespace fallow::engine
