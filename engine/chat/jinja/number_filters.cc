#include <charconv>
#include <cmath>

#include "engine/chat/jinja/function_arguments.h"
#include "engine/chat/jinja/functions.h"

namespace fallow::engine::jinja {
namespace {

// What Python's float() reads: digits with a point and an exponent, white space around.
std::optional<double> ReadReal(std::string_view text) {
  const Text stripped = Strip(Text(std::string(text), Writer::kTemplate), {});
  std::string digits;
  for (const char c : stripped.bytes())
    if (c != '_') digits += c;
  std::string_view rest = digits;
  if (rest.starts_with('+') && !rest.starts_with("+-")) rest.remove_prefix(1);
  double number = 0;
  const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (read.ec == std::errc::result_out_of_range || read.ptr != rest.data() + rest.size() ||
      rest.empty()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::int64_t> ReadInteger(std::string_view text) {
  const Text stripped = Strip(Text(std::string(text), Writer::kTemplate), {});
  std::string digits;
  for (const char c : stripped.bytes())
    if (c != '_') digits += c;
  std::string_view rest = digits;
  if (rest.starts_with('+') && !rest.starts_with("+-")) rest.remove_prefix(1);
  std::int64_t number = 0;
  const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (read.ec != std::errc() || read.ptr != rest.data() + rest.size() || rest.empty())
    return std::nullopt;
  return number;
}

Result<Value> Truncate(double number) {
  if (!(number > -9.2e18 && number < 9.2e18))
    return Fail(ErrorCode::kInvalidArgument, "an integer does not fit in 64 bits");
  return Value(static_cast<std::int64_t>(number));
}

Result<Value> ToInteger(const Value& self, const Bound& arguments, Context& context) {
  if (arguments.values[1].has_value())
    return Fail(ErrorCode::kUnimplemented, "int: other bases than ten are not read");
  FALLOW_RETURN_IF_ERROR(RequireDefined(self));
  if (const auto integer = self.integer()) return Value(*integer);
  if (const double* real = self.real()) return Truncate(*real);
  if (const Text* text = self.text()) {
    FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text->size()));
    if (const auto integer = ReadInteger(text->bytes())) return Value(*integer);
    if (const auto real = ReadReal(text->bytes())) return Truncate(*real);
  }
  return arguments.Or(0, std::int64_t{0});
}

Result<Value> ToReal(const Value& self, const Bound& arguments, Context& context) {
  FALLOW_RETURN_IF_ERROR(RequireDefined(self));
  if (const auto integer = self.integer()) return Value(static_cast<double>(*integer));
  if (self.real() != nullptr) return self;
  if (const Text* text = self.text()) {
    FALLOW_RETURN_IF_ERROR(context.budget.SpendReading(text->size()));
    if (const auto real = ReadReal(text->bytes())) return Value(*real);
  }
  return arguments.Or(0, 0.0);
}

Result<Value> Absolute(const Value& self, const Bound&, Context&) {
  if (const double* real = self.real()) return Value(std::fabs(*real));
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t integer, AsInteger(self, "number"));
  std::int64_t negated = 0;
  if (integer >= 0) return Value(integer);
  if (__builtin_sub_overflow(std::int64_t{0}, integer, &negated))
    return Fail(ErrorCode::kInvalidArgument, "an integer does not fit in 64 bits");
  return Value(negated);
}

// To the nearest number with so many decimals, of two equally near ones the even, as its exact
// value says.
double RoundTo(double number, int decimals) {
  char digits[512];
  const auto written = std::to_chars(std::begin(digits), std::end(digits), number,
                                     std::chars_format::fixed, decimals);
  double rounded = number;
  std::from_chars(digits, written.ptr, rounded);
  return rounded;
}

Result<Value> Round(const Value& self, const Bound& arguments, Context&) {
  FALLOW_ASSIGN_OR_RETURN(const std::int64_t decimals,
                          AsInteger(arguments.Or(0, std::int64_t{0}), "precision"));
  if (decimals < 0 || decimals > 15)
    return Fail(ErrorCode::kUnimplemented, "round: a precision beyond 0 to 15 is not supported");
  const Value method = arguments.Or(1, Value::OfTemplate("common"));
  FALLOW_ASSIGN_OR_RETURN(const Text* name, AsText(method, "method"));
  if (name->bytes() == "common" && self.integer()) return Value(*self.integer());
  double number = 0;
  if (self.real() != nullptr) {
    number = *self.real();
  } else {
    FALLOW_ASSIGN_OR_RETURN(const std::int64_t integer, AsInteger(self, "number"));
    number = static_cast<double>(integer);
  }
  if (name->bytes() == "common") return Value(RoundTo(number, static_cast<int>(decimals)));
  double scale = 1;
  for (std::int64_t i = 0; i < decimals; ++i) scale *= 10;
  if (name->bytes() == "ceil") return Value(std::ceil(number * scale) / scale);
  if (name->bytes() == "floor") return Value(std::floor(number * scale) / scale);
  return Fail(ErrorCode::kInvalidArgument, "round: the method must be common, ceil or floor");
}

}  // namespace

std::span<const Function> NumberFilters() {
  static constexpr Function kRows[] = {
      {.name = "int", .run = ToInteger, .parameters = {"default", "base"}},
      {.name = "float", .run = ToReal, .parameters = {"default"}},
      {.name = "abs", .run = Absolute},
      {.name = "round", .run = Round, .parameters = {"precision", "method"}},
  };
  return kRows;
}

}  // namespace fallow::engine::jinja
