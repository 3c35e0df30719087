#include "engine/tokenizer/bert_normalizer.h"

#include <utf8proc.h>

#include <array>
#include <cstdint>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

// The longest canonical decomposition has 4 characters.
constexpr std::size_t kMaxDecomposedCharacters = 16;

utf8proc_category_t CategoryOf(std::uint32_t code_point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

bool IsSpace(std::uint32_t code_point) {
  if (code_point == '\t' || code_point == '\n' || code_point == '\r') return true;
  const auto category = CategoryOf(code_point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool IsDropped(std::uint32_t code_point) {
  switch (CategoryOf(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
      return true;
    default:
      return code_point == 0xFFFD;
  }
}

bool IsPunctuation(std::uint32_t code_point) {
  if (code_point < 0x80) {
    return (code_point >= '!' && code_point <= '/') || (code_point >= ':' && code_point <= '@') ||
           (code_point >= '[' && code_point <= '`') || (code_point >= '{' && code_point <= '~');
  }
  const auto category = CategoryOf(code_point);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// The blocks that BERT's tokenizers take apart, with the gap that the common one has in Extension E
// (U+2B820 to U+2B91F).
constexpr std::array<Range, 8> kChinese = {{{0x4E00, 0x9FFF},
                                            {0x3400, 0x4DBF},
                                            {0x20000, 0x2A6DF},
                                            {0x2A700, 0x2B73F},
                                            {0x2B740, 0x2B81F},
                                            {0x2B920, 0x2CEAF},
                                            {0xF900, 0xFAFF},
                                            {0x2F800, 0x2FA1F}}};

bool IsChinese(std::uint32_t code_point) {
  for (const Range& range : kChinese) {
    if (code_point >= range.first && code_point <= range.last) return true;
  }
  return false;
}

// Gathers characters into words.
class WordGatherer {
 public:
  WordGatherer(const BertNormalization& normalization,
               const std::function<void(std::string_view)>& visit)
      : normalization_(normalization), visit_(visit) {}

  void Take(std::uint32_t code_point) {
    if (IsSpace(code_point)) return Finish();
    if (IsDropped(code_point)) return;
    // Before it is decomposed, which makes other characters of the compatibility ideographs.
    const bool apart = IsChinese(code_point);
    if (apart) Finish();
    if (normalization_.strip_accents) {
      TakeDecomposed(code_point);
    } else {
      TakeNormalized(code_point);
    }
    if (apart) Finish();
  }

  void Finish() {
    if (!word_.empty()) visit_(word_);
    word_.clear();
  }

 private:
  void TakeDecomposed(std::uint32_t code_point) {
    std::array<utf8proc_int32_t, kMaxDecomposedCharacters> parts{};
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), parts.data(),
                                parts.size(), UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      const auto part = static_cast<std::uint32_t>(parts[static_cast<std::size_t>(i)]);
      if (CategoryOf(part) != UTF8PROC_CATEGORY_MN) TakeNormalized(part);
    }
  }

  void TakeNormalized(std::uint32_t code_point) {
    if (normalization_.lowercase) {
      code_point =
          static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point)));
    }
    const bool apart = IsPunctuation(code_point);
    if (apart) Finish();
    AppendUtf8(code_point, word_);
    if (apart) Finish();
  }

  const BertNormalization& normalization_;
  const std::function<void(std::string_view)>& visit_;
  std::string word_;
};

}  // namespace

void VisitBertWords(std::string_view text, const BertNormalization& normalization,
                    const std::function<void(std::string_view word)>& visit) {
  WordGatherer gatherer(normalization, visit);
  while (!text.empty()) {
    const Utf8Step step = ReadUtf8(text);
    if (step.kind == Utf8Kind::kCharacter) gatherer.Take(step.code_point);
    text.remove_prefix(step.length);
  }
  gatherer.Finish();
}

}  // namespace fallow::engine
