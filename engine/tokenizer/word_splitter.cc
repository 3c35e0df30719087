#include "engine/tokenizer/word_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <string>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

// Unicode's White_Space, for the inside of a character class.
constexpr std::string_view kWhiteSpace =
    R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;
using Context = std::unique_ptr<pcre2_match_context, FreeContext>;
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;

// \s and \S spelt out; \S does not occur inside a class.
std::string ExpandWhiteSpace(std::string_view pattern) {
  std::string expanded;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '\\' || i + 1 == pattern.size()) {
      in_class = c == '[' || (in_class && c != ']');
      expanded += c;
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's') {
      expanded += in_class ? std::string(kWhiteSpace) : fmt::format("[{}]", kWhiteSpace);
    } else if (escaped == 'S') {
      expanded += fmt::format("[^{}]", kWhiteSpace);
    } else {
      expanded += {c, escaped};
    }
  }
  return expanded;
}

Result<Code> Compile(std::string_view pattern) {
  const std::string expanded = ExpandWhiteSpace(pattern);
  int error = 0;
  std::size_t offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                          PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
  if (code == nullptr) {
    return Fail(
        ErrorCode::kInternal,
        fmt::format("PCRE2 refuses the word pattern {}: error {} at {}", expanded, error, offset));
  }
  return code;
}

std::size_t ValidPrefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = ReadUtf8(text.substr(at));
    if (step.kind != Utf8Kind::kCharacter) break;
    at += step.length;
  }
  return at;
}

bool BeginsCharacter(char byte) {
  return (static_cast<std::uint8_t>(byte) & 0xC0) != 0x80;
}

// Appends `digits` in threes of characters, the first piece being what is left over.
void CutThreesFromTheEnd(std::string_view digits, std::vector<std::string_view>& pieces) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (BeginsCharacter(digits[i])) begins.push_back(i);
  }
  std::size_t from = 0;
  for (std::size_t i = 1; i < begins.size(); ++i) {
    if ((begins.size() - i) % 3 != 0) continue;
    pieces.push_back(digits.substr(from, begins[i] - from));
    from = begins[i];
  }
  pieces.push_back(digits.substr(from));
}

// The patterns go back over a run of white space once at most, so the steps of a match are a small
// multiple of the text's bytes; PCRE2's own limit of ten million would cut long runs short.
constexpr std::uint32_t kMaxMatchSteps = 0xFFFFFFFF;
constexpr std::uint32_t kMaxMatchHeapKib = 64 << 10;

// What a call of Split needs of PCRE2 for itself.
struct Scratch {
  MatchData match{pcre2_match_data_create(1, nullptr)};
  Context context{pcre2_match_context_create(nullptr)};

  Scratch() {
    pcre2_set_match_limit(context.get(), kMaxMatchSteps);
    pcre2_set_heap_limit(context.get(), kMaxMatchHeapKib);
  }
};

// One compiled pass.
class Pass {
 public:
  Pass(Code code, WordPass::Cut cut) : code_(std::move(code)), cut_(cut) {}

  // `piece` is known to be valid UTF-8, so PCRE2 need not look through all of it for every match.
  void Apply(std::string_view piece, const Scratch& scratch,
             std::vector<std::string_view>& pieces) const {
    std::size_t at = 0;
    while (at < piece.size()) {
      const int found =
          pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), at,
                      PCRE2_NO_UTF_CHECK, scratch.match.get(), scratch.context.get());
      const std::size_t* bounds = pcre2_get_ovector_pointer(scratch.match.get());
      // Beyond a limit, as where nothing more matches, the rest is one piece. One group is all the
      // match data have room for, which PCRE2 tells by 0.
      if (found < 0 || bounds[1] <= bounds[0]) break;
      if (bounds[0] > at) pieces.push_back(piece.substr(at, bounds[0] - at));
      const std::string_view matched = piece.substr(bounds[0], bounds[1] - bounds[0]);
      if (cut_ == WordPass::Cut::kThreesFromTheEnd) {
        CutThreesFromTheEnd(matched, pieces);
      } else {
        pieces.push_back(matched);
      }
      at = bounds[1];
    }
    if (at < piece.size()) pieces.push_back(piece.substr(at));
  }

 private:
  Code code_;
  WordPass::Cut cut_;
};

class RegexSplitter final : public WordSplitter {
 public:
  explicit RegexSplitter(std::vector<Pass> passes) : passes_(std::move(passes)) {}

  std::vector<std::string_view> Split(std::string_view text) const override {
    std::vector<std::string_view> words;
    const Scratch scratch;
    while (!text.empty()) {
      const std::size_t valid = ValidPrefix(text);
      if (valid > 0) SplitValid(text.substr(0, valid), scratch, words);
      text.remove_prefix(valid);
      if (text.empty()) break;
      const std::uint32_t broken = ReadUtf8(text).length;
      words.push_back(text.substr(0, broken));
      text.remove_prefix(broken);
    }
    return words;
  }

 private:
  void SplitValid(std::string_view text, const Scratch& scratch,
                  std::vector<std::string_view>& words) const {
    if (passes_.size() == 1) return passes_[0].Apply(text, scratch, words);
    std::vector<std::string_view> pieces = {text};
    std::vector<std::string_view> cut;
    for (const Pass& pass : passes_) {
      cut.clear();
      for (const std::string_view piece : pieces) pass.Apply(piece, scratch, cut);
      pieces.swap(cut);
    }
    words.insert(words.end(), pieces.begin(), pieces.end());
  }

  std::vector<Pass> passes_;
};

}  // namespace

Result<std::unique_ptr<WordSplitter>> NewWordSplitter(const WordRule& rule) {
  std::vector<Pass> passes;
  for (const WordPass& pass : rule.passes) {
    FALLOW_ASSIGN_OR_RETURN(auto code, Compile(pass.pattern));
    passes.emplace_back(std::move(code), pass.cut);
  }
  return std::make_unique<RegexSplitter>(std::move(passes));
}

}  // namespace fallow::engine
