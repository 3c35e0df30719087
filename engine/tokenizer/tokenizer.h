// A Tokenizer turns text into a model's token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::engine {

// A run of a prompt's text, and who wrote it.
struct PromptPiece {
  std::string text;
  bool from_template = false;  // else it is a message's: what spells a control token stays text
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // A rendered prompt. Control tokens are recognised inside runs of the template's text alone; all
  // other text is one, whoever wrote it, so that merges cross the seams. Begins with the token that
  // the vocabulary wants in front of every text, once.
  virtual std::vector<std::uint32_t> EncodePrompt(std::span<const PromptPiece> pieces) const = 0;
  // A whole text by itself, as for an embedding: with the tokens that the vocabulary wants in front
  // and behind.
  virtual std::vector<std::uint32_t> EncodeText(std::string_view text) const = 0;

  // A part of a text: what spells a control token stays text. User-defined tokens, which are
  // ordinary words to a model, are recognised here as everywhere.
  virtual std::vector<std::uint32_t> Encode(std::string_view text) const = 0;
  // The text of `tokens`: their bytes, without the space that some vocabularies put in front of
  // text. Decode(Encode(x)) is x for byte-level vocabularies; sentence_piece.h and word_piece.h
  // tell what others change. As it comes a token at a time, an answer keeps that space.
  virtual std::string Decode(std::span<const std::uint32_t> tokens) const;
  // The bytes a token stands for; empty for control tokens. Bytes of several tokens may form one
  // character.
  virtual std::string_view TokenBytes(std::uint32_t token) const = 0;
  virtual std::uint32_t vocabulary_size() const = 0;
  // Generation ends at these.
  virtual bool IsEndOfGeneration(std::uint32_t token) const = 0;
};

}  // namespace fallow::engine
