#include "engine/tokenizer/word_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <string>

#include "engine/gguf/gguf_file.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine {
namespace {

// White space as Unicode's White_Space property has it. PCRE2's own \s also takes U+180E.
#define WHITE_SPACE \
  R"(\x{09}-\x{0D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

// English contractions; letters, digits or other signs, each with one space in front; white space,
// of which a last space is left to the word behind it. Possessive where nothing is to be given
// back, so that time stays linear.
constexpr std::string_view kGpt2Pattern =
    R"('(?:s|t|re|ve|m|ll|d)| ?\p{L}++| ?\p{N}++| ?[^\p{L}\p{N})" WHITE_SPACE R"(]++|[)" WHITE_SPACE
    R"(]+(?![^)" WHITE_SPACE R"(])|[)" WHITE_SPACE R"(]++)";

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

class RegexSplitter final : public WordSplitter {
 public:
  explicit RegexSplitter(pcre2_code* code) : code_(code) {}

  std::vector<std::string_view> Split(std::string_view text) const override {
    std::vector<std::string_view> words;
    const std::unique_ptr<pcre2_match_data, FreeMatch> match(
        pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    while (!text.empty()) {
      const std::size_t valid = ValidPrefix(text);
      SplitValid(text.substr(0, valid), *match, words);
      text.remove_prefix(valid);
      if (text.empty()) break;
      const std::uint32_t broken = ReadUtf8(text).length;
      words.push_back(text.substr(0, broken));
      text.remove_prefix(broken);
    }
    return words;
  }

 private:
  static std::size_t ValidPrefix(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      const Utf8Step step = ReadUtf8(text.substr(at));
      if (step.kind != Utf8Kind::kCharacter) break;
      at += step.length;
    }
    return at;
  }

  // The text is known to be valid, so PCRE2 need not look through all of it again for every word.
  void SplitValid(std::string_view text, pcre2_match_data& match,
                  std::vector<std::string_view>& words) const {
    std::size_t at = 0;
    while (at < text.size()) {
      const int found =
          pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                      PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, &match, nullptr);
      const std::size_t end = found > 0 ? pcre2_get_ovector_pointer(&match)[1] : text.size();
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }

  std::unique_ptr<pcre2_code, FreeCode> code_;
};

}  // namespace

Result<std::unique_ptr<WordSplitter>> NewWordSplitter(std::string_view rule) {
  if (rule != "gpt-2") {
    return Fail(ErrorCode::kUnimplemented,
                fmt::format("tokenizer.ggml.pre \"{}\" is not known; known: gpt-2", Shown(rule)));
  }
  int error = 0;
  std::size_t error_offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kGpt2Pattern.data()), kGpt2Pattern.size(),
                    PCRE2_UTF | PCRE2_UCP, &error, &error_offset, nullptr);
  if (code == nullptr) {
    return Fail(ErrorCode::kInternal, fmt::format("PCRE2 refuses the word rule {}: error {} at {}",
                                                  rule, error, error_offset));
  }
  return std::make_unique<RegexSplitter>(code);
}

}  // namespace fallow::engine
