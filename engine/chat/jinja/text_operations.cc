#include "engine/chat/jinja/text_operations.h"

#include <algorithm>
#include <limits>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/tokenizer/utf8.h"

namespace fallow::engine::jinja {
namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

std::size_t CutCount(std::int64_t count) {
  return count < 0 ? kNoLimit : static_cast<std::size_t>(count);
}

Result<Value> MakeParts(std::vector<Text> parts, Budget& budget) {
  std::vector<Value> values;
  for (Text& part : parts) {
    FALLOW_RETURN_IF_ERROR(budget.SpendSteps(1));
    FALLOW_ASSIGN_OR_RETURN(Value value, MakeText(std::move(part), budget));
    values.push_back(std::move(value));
  }
  return MakeSequence(std::move(values), SequenceKind::kList, budget);
}

Status NotEmpty(const Text& separator) {
  if (!separator.empty()) return {};
  return Fail(ErrorCode::kInvalidArgument, "the separator is empty");
}

// As FindAll, but from right to left where `side` says so, which differs where occurrences overlap.
std::vector<std::size_t> PlacesFrom(From side, const Text& text, const Text& separator,
                                    std::size_t count_max) {
  if (side == From::kLeft) return FindAll(text.bytes(), separator.bytes(), count_max);
  const std::string mirrored(text.bytes().rbegin(), text.bytes().rend());
  const std::string needle(separator.bytes().rbegin(), separator.bytes().rend());
  std::vector<std::size_t> places = FindAll(mirrored, needle, count_max);
  for (std::size_t& place : places) place = text.size() - place - needle.size();
  std::ranges::reverse(places);
  return places;
}

bool EndsLine(std::uint32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

// Bytes from `begin` up to `end`.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Runs of characters that are not white space.
std::vector<Span> Words(std::string_view bytes) {
  std::vector<Span> words;
  bool inside = false;
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = ReadUtf8(bytes.substr(at));
    const std::size_t length = CharacterBytes(bytes.substr(at));
    const bool space = step.kind == Utf8Kind::kCharacter && IsSpace(step.code_point);
    if (!space && !inside) words.push_back({at, at});
    if (!space) words.back().end = at + length;
    inside = !space;
    at += length;
  }
  return words;
}

}  // namespace

Result<Value> StripText(const Text& text, Ends ends, const std::optional<Value>& characters,
                        Budget& budget) {
  if (!characters.has_value() || characters->IsNone()) {
    FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size()));
    return MakeText(Strip(text, ends), budget);
  }
  FALLOW_ASSIGN_OR_RETURN(const Text* set, AsText(*characters, "chars"));
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size() * (1 + set->size())));
  const std::string_view bytes = set->bytes();
  return MakeText(Strip(text, ends, &bytes), budget);
}

Result<Value> ChangeTextCase(const Text& text, Case wanted, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size()));
  FALLOW_ASSIGN_OR_RETURN(Text changed, ChangeCase(text, wanted));
  return MakeText(std::move(changed), budget);
}

Result<Value> ReplaceText(const Text& text, const Text& old, const Text& fresh,
                          std::optional<std::int64_t> count, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size() + old.size()));
  const std::size_t count_max = CutCount(count.value_or(-1));
  TextBuilder out;
  std::size_t at = 0;
  if (old.empty()) {
    std::size_t made = 0;
    for (; at < text.size() && made < count_max && !out.full(); ++made) {
      const std::size_t length = CharacterBytes(std::string_view(text.bytes()).substr(at));
      out.Append(fresh);
      out.Append(text, at, length);
      at += length;
    }
    out.Append(text, at, text.size() - at);
    if (made < count_max) out.Append(fresh);
    return MakeText(out.Take(), budget);
  }
  for (const std::size_t place : FindAll(text.bytes(), old.bytes(), count_max)) {
    out.Append(text, at, place - at);
    out.Append(fresh);
    at = place + old.size();
    if (out.full()) break;
  }
  out.Append(text, at, text.size() - at);
  return MakeText(out.Take(), budget);
}

std::vector<Text> SplitLines(const Text& text) {
  std::vector<Text> lines;
  const std::string_view bytes = text.bytes();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8Step step = ReadUtf8(bytes.substr(at));
    const std::size_t length = CharacterBytes(bytes.substr(at));
    if (step.kind != Utf8Kind::kCharacter || !EndsLine(step.code_point)) {
      at += length;
      continue;
    }
    lines.push_back(text.Slice(begin, at - begin));
    at += bytes.substr(at).starts_with("\r\n") ? 2 : length;
    begin = at;
  }
  if (begin < bytes.size()) lines.push_back(text.Slice(begin, bytes.size() - begin));
  return lines;
}

Result<Value> SplitAt(const Text& text, const Text& separator, std::int64_t count, From side,
                      Budget& budget) {
  FALLOW_RETURN_IF_ERROR(NotEmpty(separator));
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size() + separator.size()));
  std::vector<Text> parts;
  std::size_t at = 0;
  for (const std::size_t place : PlacesFrom(side, text, separator, CutCount(count))) {
    parts.push_back(text.Slice(at, place - at));
    at = place + separator.size();
    if (parts.size() > kMaxElements) break;
  }
  parts.push_back(text.Slice(at, text.size() - at));
  return MakeParts(std::move(parts), budget);
}

Result<Value> SplitAtSpace(const Text& text, std::int64_t count, From side, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size()));
  std::vector<Span> words = Words(text.bytes());
  const std::size_t cuts = CutCount(count);
  if (cuts < words.size()) {
    // What is not cut keeps its inner white space, and its outer where the text ends or begins.
    if (side == From::kLeft) {
      words.resize(cuts + 1);
      words.back().end = text.size();
    } else {
      const std::size_t joined = words.size() - cuts - 1;
      words[joined].begin = 0;
      words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(joined));
    }
  }
  std::vector<Text> parts;
  for (const Span& word : words) {
    parts.push_back(text.Slice(word.begin, word.end - word.begin));
    if (parts.size() > kMaxElements) break;
  }
  return MakeParts(std::move(parts), budget);
}

Result<Value> PartitionText(const Text& text, const Text& separator, From side, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(NotEmpty(separator));
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(text.size() + separator.size()));
  const std::vector<std::size_t> places = PlacesFrom(side, text, separator, 1);
  std::vector<Text> parts(3);
  if (places.empty()) {
    parts[side == From::kLeft ? 0 : 2] = text;
  } else {
    const std::size_t after = places[0] + separator.size();
    parts = {text.Slice(0, places[0]), separator, text.Slice(after, text.size() - after)};
  }
  FALLOW_ASSIGN_OR_RETURN(const Value list, MakeParts(std::move(parts), budget));
  return MakeSequence(list.sequence()->items, SequenceKind::kTuple, budget);
}

}  // namespace fallow::engine::jinja
