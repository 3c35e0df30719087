#include "engine/chat/jinja/percent_format.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/chat/jinja/operators.h"
#include "engine/chat/jinja/write_value.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine::jinja {
namespace {

std::unexpected<Error> Bad(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}
std::unexpected<Error> Unknown(std::string_view what) {
  return Fail(ErrorCode::kUnimplemented,
              fmt::format("the format \"{}\" is not known", Shown(what)));
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// A number of at most kMaxPaddingCharacters that `rest` starts with, removed from it; none if it
// starts with no digit.
Result<std::optional<std::int64_t>> TakeNumber(std::string_view& rest) {
  if (rest.empty() || !IsDigit(rest[0])) return std::nullopt;
  std::int64_t number = 0;
  for (; !rest.empty() && IsDigit(rest[0]); rest.remove_prefix(1)) {
    number = number * 10 + (rest[0] - '0');
    if (number > kMaxPaddingCharacters) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("a format's width or precision is beyond {}", kMaxPaddingCharacters));
    }
  }
  return number;
}

struct Conversion {
  bool left = false;
  bool zeros = false;
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
  char kind = 's';
};

// Reads what follows a '%' and removes it.
Result<Conversion> TakeConversion(std::string_view& rest) {
  const std::string_view whole = rest;
  Conversion conversion;
  for (; !rest.empty() && (rest[0] == '-' || rest[0] == '0'); rest.remove_prefix(1))
    (rest[0] == '-' ? conversion.left : conversion.zeros) = true;
  FALLOW_ASSIGN_OR_RETURN(const auto width, TakeNumber(rest));
  conversion.width = width.value_or(0);
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    FALLOW_ASSIGN_OR_RETURN(const auto precision, TakeNumber(rest));
    conversion.precision = precision.value_or(0);
  }
  if (rest.empty()) return Bad("a format ends in the middle of a conversion");
  conversion.kind = rest[0];
  rest.remove_prefix(1);
  if (std::string_view("sdif%").find(conversion.kind) == std::string_view::npos)
    return Unknown("%" + std::string(whole.substr(0, whole.size() - rest.size())));
  return conversion;
}

Result<Text> Convert(const Conversion& conversion, const Value& value, Budget& budget) {
  if (conversion.kind == 's') {
    FALLOW_ASSIGN_OR_RETURN(const Value text, ToText(value, budget));
    if (!conversion.precision) return *text.text();
    FALLOW_ASSIGN_OR_RETURN(const Value cut,
                            GetSlice(text, 0, *conversion.precision, std::nullopt, budget));
    return *cut.text();
  }
  const auto integer = value.integer();
  if (!integer && value.real() == nullptr) {
    FALLOW_RETURN_IF_ERROR(RequireDefined(value));
    return Bad(fmt::format("\"%{}\" needs a number, not {}", conversion.kind, TypeName(value)));
  }
  const double real = integer ? static_cast<double>(*integer) : *value.real();
  if (conversion.kind == 'f') {
    char digits[kMaxPaddingCharacters + 400];
    const auto written =
        std::to_chars(std::begin(digits), std::end(digits), real, std::chars_format::fixed,
                      static_cast<int>(conversion.precision.value_or(6)));
    return Text(std::string(digits, written.ptr), Writer::kTemplate);
  }
  if (integer) return Text(fmt::format("{}", *integer), Writer::kTemplate);
  if (!(real > -9.2e18 && real < 9.2e18)) return Bad("an integer does not fit in 64 bits");
  return Text(fmt::format("{}", static_cast<std::int64_t>(real)), Writer::kTemplate);
}

void AppendPadded(const Conversion& conversion, const Text& text, TextBuilder& out) {
  const auto length = static_cast<std::int64_t>(CountCharacters(text.bytes()));
  const auto missing =
      static_cast<std::size_t>(std::max<std::int64_t>(0, conversion.width - length));
  const bool zeros = conversion.zeros && !conversion.left && conversion.kind != 's';
  const std::string padding(missing, zeros ? '0' : ' ');
  const std::size_t sign = zeros && text.bytes().starts_with('-') ? 1 : 0;
  out.Append(text, 0, sign);
  if (!conversion.left) out.Append(padding, Writer::kTemplate);
  out.Append(text, sign, text.size() - sign);
  if (conversion.left) out.Append(padding, Writer::kTemplate);
}

}  // namespace

Result<Value> FormatPercent(const Text& format, const Value& arguments, Budget& budget) {
  const Sequence* tuple = arguments.sequence();
  if (tuple != nullptr && tuple->kind != SequenceKind::kTuple) tuple = nullptr;
  const std::size_t count = tuple != nullptr ? tuple->items.size() : 1;
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(format.size()));
  TextBuilder out;
  std::size_t used = 0;
  std::string_view rest = format.bytes();
  while (!rest.empty()) {
    const std::size_t begin = format.size() - rest.size();
    const std::size_t mark = std::min(rest.find('%'), rest.size());
    out.Append(format, begin, mark);
    rest.remove_prefix(mark);
    if (rest.empty()) break;
    rest.remove_prefix(1);
    FALLOW_ASSIGN_OR_RETURN(const Conversion conversion, TakeConversion(rest));
    if (conversion.kind == '%') {
      out.Append(format, begin + mark, 1);
      continue;
    }
    if (used == count) return Bad("a format has more conversions than values");
    FALLOW_ASSIGN_OR_RETURN(
        const Text text,
        Convert(conversion, tuple != nullptr ? tuple->items[used] : arguments, budget));
    AppendPadded(conversion, text, out);
    ++used;
  }
  if (used < count && arguments.mapping() == nullptr)
    return Bad("a format has fewer conversions than values");
  return MakeText(out.Take(), budget);
}

namespace {

// How a format's gaps have named their arguments so far: {} counts, {0} is numbered.
struct GapCount {
  std::size_t counted = 0;
  bool numbered = false;
};

// The argument that a gap names: by the next number, its own number or a name.
Result<Value> ArgumentOfGap(std::string_view gap, GapCount& count, const Arguments& arguments) {
  std::size_t place = 0;
  const bool numbered = !gap.empty() && IsDigit(gap[0]);
  count.numbered = count.numbered || numbered;
  if (gap.empty()) place = count.counted++;
  if (count.numbered && count.counted > 0)
    return Bad("a format has both numbered gaps and gaps without a number");
  if (numbered) {
    std::from_chars(gap.data(), gap.data() + gap.size(), place);
    if (gap.find_first_not_of("0123456789") != std::string_view::npos) return Unknown(gap);
  } else if (!gap.empty()) {
    for (const auto& [name, value] : arguments.named)
      if (name == gap) return value;
    if (gap.find_first_of(".[:!") != std::string_view::npos) return Unknown(gap);
    return Bad(fmt::format("a format names \"{}\", which is not passed", Shown(gap)));
  }
  if (place >= arguments.positional.size()) return Bad("a format has more gaps than values");
  return arguments.positional[place];
}

}  // namespace

Result<Value> FormatBraces(const Text& format, const Arguments& arguments, Budget& budget) {
  FALLOW_RETURN_IF_ERROR(budget.SpendReading(format.size()));
  TextBuilder out;
  GapCount count;
  const std::string_view bytes = format.bytes();
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t mark = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.Append(format, at, mark - at);
    if (mark == bytes.size()) break;
    if (bytes.substr(mark, 2) == "{{" || bytes.substr(mark, 2) == "}}") {
      out.Append(format, mark, 1);
      at = mark + 2;
      continue;
    }
    const std::size_t close = bytes.find('}', mark);
    if (bytes[mark] == '}' || close == std::string_view::npos)
      return Bad("a format has a brace without its partner");
    FALLOW_ASSIGN_OR_RETURN(
        const Value value,
        ArgumentOfGap(bytes.substr(mark + 1, close - mark - 1), count, arguments));
    FALLOW_RETURN_IF_ERROR(AppendString(value, out, budget));
    at = close + 1;
  }
  return MakeText(out.Take(), budget);
}

}  // namespace fallow::engine::jinja
