// Methods of Python's str.
#include <algorithm>
#include <limits>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"
#include "engine/chat/jinja/operators.h"
#include "engine/chat/jinja/percent_format.h"
#include "engine/chat/jinja/text_operations.h"
#include "engine/chat/jinja/write_value.h"

namespace fallow::engine::jinja {
namespace {

template <bool left, bool right>
Result<Value> StripEnds(const Value& self, const Bound& arguments, Context& context) {
  return StripText(*self.text(), {left, right}, arguments.values[0], context.budget);
}

template <Case wanted>
Result<Value> ToCase(const Value& self, const Bound&, Context& context) {
  return ChangeTextCase(*self.text(), wanted, context.budget);
}

template <From side>
Result<Value> Split(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t count,
                          AsInteger(arguments.Or(1, std::int64_t{-1}), "maxsplit"));
  const Value separator = arguments.Or(0, None{});
  if (separator.IsNone()) return SplitAtSpace(*self.text(), count, side, context.budget);
  FALLOW_ASSIGN_OR_RETURN(const Text* text, AsText(separator, "sep"));
  return SplitAt(*self.text(), *text, count, side, context.budget);
}

Result<Value> SplitIntoLines(const Value& self, const Bound&, Context& context) {
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(self.text()->size()));
  std::vector<Value> lines;
  for (Text& line : SplitLines(*self.text())) {
    FALLOW_ASSIGN_OR_RETURN(Value value, MakeText(std::move(line), context.budget));
    lines.push_back(std::move(value));
  }
  return MakeSequence(std::move(lines), SequenceKind::kList, context.budget);
}

template <From side>
Result<Value> Partition(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* separator, AsText(*arguments.values[0], "sep"));
  return PartitionText(*self.text(), *separator, side, context.budget);
}

// startswith and endswith take one text or a tuple of them.
template <From side>
Result<Value> HasEnd(const Value& self, const Bound& arguments, Context& context) {
  const Value& wanted = *arguments.values[0];
  std::vector<Value> ends = {wanted};
  if (const Sequence* tuple = wanted.sequence();
      tuple != nullptr && tuple->kind == SequenceKind::kTuple) {
    ends = tuple->items;
  }
  for (const Value& end : ends) {
    FALLOW_ASSIGN_OR_RETURN(const Text* text, AsText(end, "prefix or suffix"));
    FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text->size()));
    const std::string& bytes = self.text()->bytes();
    if (side == From::kLeft ? bytes.starts_with(text->bytes()) : bytes.ends_with(text->bytes()))
      return Value(true);
  }
  return Value(false);
}

template <From side>
Result<Value> RemoveEnd(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* end, AsText(*arguments.values[0], "prefix or suffix"));
  const Text& text = *self.text();
  const bool left = side == From::kLeft;
  if (!(left ? text.bytes().starts_with(end->bytes()) : text.bytes().ends_with(end->bytes())))
    return self;
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text.size()));
  return MakeText(text.Slice(left ? end->size() : 0, text.size() - end->size()), context.budget);
}

Result<Value> Replace(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* old, AsText(*arguments.values[0], "old"));
  FALLOW_ASSIGN_OR_RETURN(const Text* fresh, AsText(*arguments.values[1], "new"));
  FALLOW_ASSIGN_OR_RETURN(const auto count, AsOptionalInteger(arguments.values[2], "count"));
  return ReplaceText(*self.text(), *old, *fresh, count, context.budget);
}

Result<Value> Join(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(*arguments.values[0]));
  FALLOW_ASSIGN_OR_RETURN(const std::vector<Value> items,
                          Elements(*arguments.values[0], context.budget));
  TextBuilder out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    FALLOW_ASSIGN_OR_RETURN(const Text* item, AsText(items[i], "item"));
    if (i > 0) out.Append(*self.text());
    out.Append(*item);
  }
  return MakeText(out.Take(), context.budget);
}

// The place in characters of the first or last occurrence between `start` and `end`; -1 if none.
template <From side>
Result<std::int64_t> PlaceOf(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* needle, AsText(*arguments.values[0], "sub"));
  FALLOW_ASSIGN_OR_RETURN(const auto start, AsOptionalInteger(arguments.values[1], "start"));
  FALLOW_ASSIGN_OR_RETURN(const auto end, AsOptionalInteger(arguments.values[2], "end"));
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t length, Length(self, context.budget));
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + length : at, 0, length);
  };
  const std::int64_t first = place(start.value_or(0));
  if (start.value_or(0) > length) return -1;
  FALLOW_ASSIGN_OR_RETURN(const Value part,
                          GetSlice(self, first, place(end.value_or(length)), {}, context.budget));
  const std::string_view bytes = part.text()->bytes();
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(bytes.size() + needle->size()));
  std::size_t found = 0;
  if (needle->empty()) {
    found = side == From::kLeft ? 0 : bytes.size();
  } else if (side == From::kLeft) {
    found = FindBytes(bytes, needle->bytes(), 0);
  } else {
    const std::string mirrored(bytes.rbegin(), bytes.rend());
    const std::string wanted(needle->bytes().rbegin(), needle->bytes().rend());
    found = FindBytes(mirrored, wanted, 0);
    if (found != std::string::npos) found = bytes.size() - found - wanted.size();
  }
  if (found == std::string_view::npos) return -1;
  return first + static_cast<std::int64_t>(CountCharacters(bytes.substr(0, found)));
}

template <From side>
Result<Value> FindPlace(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t place, PlaceOf<side>(self, arguments, context));
  return Value(place);
}

Result<Value> Index(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t place, PlaceOf<From::kLeft>(self, arguments, context));
  if (place < 0) return Fail(ErrorCode::kInvalidArgument, "index: the text is not found");
  return Value(place);
}

Result<Value> Count(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_ASSIGN_OR_RETURN(const Text* needle, AsText(*arguments.values[0], "sub"));
  if (needle->empty()) {
    FALLOW_ASSIGN_OR_RETURN(const std::int64_t length, Length(self, context.budget));
    return Value(length + 1);
  }
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(self.text()->size() + needle->size()));
  const auto places =
      FindAll(self.text()->bytes(), needle->bytes(), std::numeric_limits<std::size_t>::max());
  return Value(static_cast<std::int64_t>(places.size()));
}

Result<Value> Format(const Value& self, const Bound& arguments, Context& context) {
  return FormatBraces(*self.text(), arguments.rest, context.budget);
}

// Whether there are characters and all are of a kind. Beyond ASCII only white space is known.
template <bool (*is_member)(unsigned char)>
Result<Value> AreAll(const Value& self, const Bound&, Context& context) {
  const std::string& bytes = self.text()->bytes();
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(bytes.size()));
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      return Fail(ErrorCode::kUnimplemented, "the kinds of characters beyond ASCII are not known");
    }
    if (!is_member(byte)) return Value(false);
  }
  return Value(!bytes.empty());
}

bool IsDigit(unsigned char c) {
  return c >= '0' && c <= '9';
}
bool IsLetter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsLetterOrDigit(unsigned char c) {
  return IsLetter(c) || IsDigit(c);
}

Result<Value> IsSpaceOnly(const Value& self, const Bound&, Context& context) {
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(self.text()->size()));
  return Value(!self.text()->empty() && Strip(*self.text(), {}).empty());
}

// Whether there are letters and all have one case.
template <Case wanted>
Result<Value> HasCase(const Value& self, const Bound&, Context& context) {
  constexpr Case kOther = wanted == Case::kUpper ? Case::kLower : Case::kUpper;
  FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(self.text()->size()));
  FALLOW_ASSIGN_OR_RETURN(const Text same, ChangeCase(*self.text(), wanted));
  FALLOW_ASSIGN_OR_RETURN(const Text other, ChangeCase(*self.text(), kOther));
  return Value(same.bytes() == self.text()->bytes() && other.bytes() != self.text()->bytes());
}

}  // namespace

std::span<const Function> TextMethods() {
  static constexpr Function kRows[] = {
      {.name = "strip", .run = StripEnds<true, true>, .parameters = {"chars"}},
      {.name = "lstrip", .run = StripEnds<true, false>, .parameters = {"chars"}},
      {.name = "rstrip", .run = StripEnds<false, true>, .parameters = {"chars"}},
      {.name = "upper", .run = ToCase<Case::kUpper>},
      {.name = "lower", .run = ToCase<Case::kLower>},
      {.name = "capitalize", .run = ToCase<Case::kCapital>},
      {.name = "title", .run = ToCase<Case::kTitle>},
      {.name = "split", .run = Split<From::kLeft>, .parameters = {"sep", "maxsplit"}},
      {.name = "rsplit", .run = Split<From::kRight>, .parameters = {"sep", "maxsplit"}},
      {.name = "splitlines", .run = SplitIntoLines},
      {.name = "partition",
       .run = Partition<From::kLeft>,
       .parameters = {"sep"},
       .required_count = 1},
      {.name = "rpartition",
       .run = Partition<From::kRight>,
       .parameters = {"sep"},
       .required_count = 1},
      {.name = "startswith",
       .run = HasEnd<From::kLeft>,
       .parameters = {"prefix"},
       .required_count = 1},
      {.name = "endswith",
       .run = HasEnd<From::kRight>,
       .parameters = {"suffix"},
       .required_count = 1},
      {.name = "removeprefix",
       .run = RemoveEnd<From::kLeft>,
       .parameters = {"prefix"},
       .required_count = 1},
      {.name = "removesuffix",
       .run = RemoveEnd<From::kRight>,
       .parameters = {"suffix"},
       .required_count = 1},
      {.name = "replace",
       .run = Replace,
       .parameters = {"old", "new", "count"},
       .required_count = 2},
      {.name = "join", .run = Join, .parameters = {"iterable"}, .required_count = 1},
      {.name = "find",
       .run = FindPlace<From::kLeft>,
       .parameters = {"sub", "start", "end"},
       .required_count = 1},
      {.name = "rfind",
       .run = FindPlace<From::kRight>,
       .parameters = {"sub", "start", "end"},
       .required_count = 1},
      {.name = "index", .run = Index, .parameters = {"sub", "start", "end"}, .required_count = 1},
      {.name = "count", .run = Count, .parameters = {"sub"}, .required_count = 1},
      {.name = "format", .run = Format, .takes_more = true},
      {.name = "isdigit", .run = AreAll<IsDigit>},
      {.name = "isalpha", .run = AreAll<IsLetter>},
      {.name = "isalnum", .run = AreAll<IsLetterOrDigit>},
      {.name = "isspace", .run = IsSpaceOnly},
      {.name = "isupper", .run = HasCase<Case::kUpper>},
      {.name = "islower", .run = HasCase<Case::kLower>},
  };
  return kRows;
}

}  // namespace fallow::engine::jinja
