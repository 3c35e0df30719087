#include "engine/tokenizer/special_tokens.h"

#include <algorithm>
#include <iterator>

namespace fallow::engine {
namespace {

bool IsSpace(char byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

std::string_view WithoutSpaceBehind(std::string_view text) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

void SpecialTokens::Add(std::string_view spelling, std::uint32_t token, Scope scope) {
  (scope == Scope::kAnyText ? anywhere_ : trusted_only_).Add(spelling, token);
}

void SpecialTokens::SetStrip(std::uint32_t token, Strip strip) {
  strips_.push_back({token, strip});
}

Status SpecialTokens::Freeze() {
  std::ranges::sort(strips_, {}, &Stripped::token);
  FALLOW_RETURN_IF_ERROR(anywhere_.Freeze());
  return trusted_only_.Freeze();
}

SpecialTokens::Strip SpecialTokens::StripOf(std::uint32_t token) const {
  const auto found = std::ranges::lower_bound(strips_, token, {}, &Stripped::token);
  return found == strips_.end() || found->token != token ? Strip{} : found->strip;
}

// By where they begin, longer ones first.
std::vector<TokenMatcher::Match> SpecialTokens::FindMatches(
    std::string_view text, std::span<const TextRange> trusted) const {
  const std::vector<TokenMatcher::Match> anywhere = anywhere_.Find(text);
  std::vector<TokenMatcher::Match> inside;
  for (const TextRange& range : trusted) {
    for (TokenMatcher::Match match :
         trusted_only_.Find(text.substr(range.begin, range.end - range.begin))) {
      match.begin += range.begin;
      inside.push_back(match);
    }
  }
  std::vector<TokenMatcher::Match> all;
  std::ranges::merge(anywhere, inside, std::back_inserter(all),
                     [](const TokenMatcher::Match& a, const TokenMatcher::Match& b) {
                       return a.begin != b.begin ? a.begin < b.begin : a.length > b.length;
                     });
  return all;
}

std::vector<TextFragment> SpecialTokens::Split(std::string_view text,
                                               std::span<const TextRange> trusted) const {
  std::vector<TextFragment> fragments;
  const auto add_run = [&](std::string_view run) {
    if (!run.empty()) fragments.push_back({run, std::nullopt});
  };
  std::size_t at = 0;
  for (const TokenMatcher::Match& match : FindMatches(text, trusted)) {
    if (match.begin < at) continue;
    const Strip strip = StripOf(match.token);
    const std::string_view run = text.substr(at, match.begin - at);
    add_run(strip.left ? WithoutSpaceBehind(run) : run);
    fragments.push_back({text.substr(match.begin, match.length), match.token});
    at = match.begin + match.length;
    while (strip.right && at < text.size() && IsSpace(text[at])) ++at;
  }
  add_run(text.substr(at));
  return fragments;
}

}  // namespace fallow::engine
