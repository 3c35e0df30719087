// A WordSplitter cuts text into the words that byte-pair merges never cross, by the rule a
// vocabulary was made with.
//
// Threading: immutable; Split may be called from several threads.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow::engine {

class WordSplitter {
 public:
  virtual ~WordSplitter() = default;
  // The words in order; together they are the text. Bytes that are not UTF-8 are words of their
  // own.
  virtual std::vector<std::string_view> Split(std::string_view text) const = 0;
};

// `rule` is what `tokenizer.ggml.pre` names: "gpt-2". kUnimplemented for others.
Result<std::unique_ptr<WordSplitter>> NewWordSplitter(std::string_view rule);

}  // namespace fallow::engine
