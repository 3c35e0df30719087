// How BERT's vocabularies see a text: words, normalised.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace fallow::engine {

struct BertNormalization {
  bool lowercase = true;
  bool strip_accents = true;
};

// Calls `visit` with each word of `text` in order. Words are set apart by white space; every
// punctuation mark (ASCII's symbols count as such) and every Chinese character is a word by itself.
// Control characters, what is not assigned, U+FFFD and bytes that are not UTF-8 are dropped.
// Stripping accents is canonical decomposition without its nonspacing marks, so that Hangul
// syllables become their letters and the vowel signs of Indic scripts that take room stay, as the
// models' own tokenizers have it.
void VisitBertWords(std::string_view text, const BertNormalization& normalization,
                    const std::function<void(std::string_view word)>& visit);

}  // namespace fallow::engine
