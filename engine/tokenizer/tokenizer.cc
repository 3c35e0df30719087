#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

std::string Tokenizer::Decode(std::span<const std::uint32_t> tokens) const {
  std::string text;
  for (const std::uint32_t token : tokens) text += TokenBytes(token);
  return text;
}

}  // namespace fallow::engine
