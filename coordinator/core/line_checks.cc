#include "coordinator/core/line_checks.h"

#include <cmath>
#include <utility>

namespace fallow {

namespace dom = simdjson::dom;

JobError Invalid(std::string_view param, std::string message) {
  return {"invalid_value", std::move(message), std::string(param), 0};
}

JobError Missing(std::string_view param) {
  return {"missing_required_parameter", fmt::format("{} is required", param), std::string(param),
          0};
}

JobError Unsupported(std::string_view param, std::string_view reason) {
  return {"unsupported_parameter", fmt::format("{} is not supported: {}", param, reason),
          std::string(param), 0};
}

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 64;
  if (text.size() <= kShown) return fmt::format("\"{}\"", text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return fmt::format("\"{}…\"", text.substr(0, end));
}

std::optional<std::string_view> AsString(dom::element value) {
  std::string_view text;
  if (value.get(text)) return std::nullopt;
  return text;
}

std::optional<std::int64_t> AsInteger(dom::element value) {
  std::int64_t number = 0;
  if (!value.get(number)) return number;
  double real = 0;  // JSON has one kind of number: 32.0 is 32
  if (value.get(real) || std::trunc(real) != real || std::abs(real) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(real);
}

std::optional<double> AsNumber(dom::element value) {
  double number = 0;
  if (value.get(number)) return std::nullopt;
  return number;
}

}  // namespace fallow
