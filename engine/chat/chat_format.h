// A ChatFormat turns messages into the token ids a model was trained to continue.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/tokenizer.h"
#include "protocol/inference.h"

namespace fallow::engine {

class ChatFormat {
 public:
  virtual ~ChatFormat() = default;
  // The prompt of an assistant's next message. Special tokens come from the format alone, never
  // from a message.
  virtual Result<std::vector<std::uint32_t>> Render(std::span<const ChatMessage> messages,
                                                    const Tokenizer& tokenizer) const = 0;
};

}  // namespace fallow::engine
