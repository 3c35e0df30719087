// A WordSplitter cuts text into the words that byte-pair merges never cross, by the rule a
// vocabulary was made with.
//
// Threading: immutable; Split may be called from several threads.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/tokenizer/word_rules.h"

namespace fallow::engine {

class WordSplitter {
 public:
  virtual ~WordSplitter() = default;
  // The words in order; together they are the text. Bytes that are not UTF-8 are words of their
  // own. Time is linear in the text.
  virtual std::vector<std::string_view> Split(std::string_view text) const = 0;
};

Result<std::unique_ptr<WordSplitter>> NewWordSplitter(const WordRule& rule);

}  // namespace fallow::engine
