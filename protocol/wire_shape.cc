#include "protocol/wire_shape.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <array>

#include "base/check.h"

namespace fallow::wire {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr std::size_t kMaxRules = 8;

const ShapeRule* FindRule(Shape shape, int field_number) {
  for (const ShapeRule& rule : shape) {
    if (rule.field_number == field_number) return &rule;
  }
  return nullptr;
}

}  // namespace

Status CheckShape(ByteView message, Shape shape) {
  FALLOW_CHECK(shape.size() <= kMaxRules);
  std::array<std::size_t, kMaxRules> counts{};
  CodedInputStream input(message.data(), static_cast<int>(message.size()));
  const auto malformed = [&] {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("not a protobuf message (byte {} of {})",
                                                         input.CurrentPosition(), message.size()));
  };
  while (const std::uint32_t tag = input.ReadTagNoLastTag()) {
    const ShapeRule* rule = FindRule(shape, WireFormatLite::GetTagFieldNumber(tag));
    const bool delimited =
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (rule == nullptr || !delimited) {
      if (!WireFormatLite::SkipField(&input, tag)) return malformed();
      continue;
    }
    if (++counts[rule - shape.data()] > rule->max_count) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: more than {}", rule->name, rule->max_count));
    }
    std::uint32_t length = 0;
    if (!input.ReadVarint32(&length)) return malformed();
    const auto start = static_cast<std::size_t>(input.CurrentPosition());
    if (length > message.size() - start) return malformed();
    if (!rule->nested.empty()) {
      if (auto status = CheckShape(message.subspan(start, length), rule->nested); !status) {
        const std::string place =
            rule->max_count == 1
                ? std::string(rule->name)
                : fmt::format("{}[{}]", rule->name, counts[rule - shape.data()] - 1);
        return Wrap(std::move(status).error(), place);
      }
    }
    if (!input.Skip(static_cast<int>(length))) return malformed();
  }
  if (static_cast<std::size_t>(input.CurrentPosition()) != message.size()) return malformed();
  return {};
}

}  // namespace fallow::wire
