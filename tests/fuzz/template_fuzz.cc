// Any bytes as a chat template: parsing and rendering end, within their limits, and what messages
// wrote never passes for the template's own text.
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/chat/chat_template.h"

namespace {

using namespace fallow;
using namespace fallow::engine;
using jinja::Value;

// A character that no input holds unless it spells it, so that it can only come from a message.
constexpr std::string_view kMark = "\xEE\x80\x80";
constexpr std::uint64_t kMaxSteps = 100'000;  // enough to reach everything, soon over

void Require(bool holds) {
  if (!holds) std::abort();
}

Value Message(std::string role, std::string content, Value calls) {
  jinja::Budget budget;
  jinja::Mapping message;
  message.Set(Value::OfTemplate("role"), Value::OfTemplate(std::move(role)));
  message.Set(Value::OfTemplate("content"), Value::OfMessage(std::move(content)));
  if (!calls.IsNone()) message.Set(Value::OfTemplate("tool_calls"), std::move(calls));
  return jinja::MakeMapping(std::move(message), budget).value();
}

Value List(std::vector<Value> items) {
  jinja::Budget budget;
  return jinja::MakeSequence(std::move(items), jinja::SequenceKind::kList, budget).value();
}

ChatInput MakeInput() {
  const std::string mark(kMark);
  jinja::Budget budget;
  jinja::Mapping function;
  function.Set(Value::OfTemplate("name"), Value::OfMessage(mark));
  function.Set(Value::OfTemplate("days"), Value(std::int64_t{3}));
  function.Set(Value::OfTemplate("weight"), Value(0.5));
  const Value tools = List({jinja::MakeMapping(std::move(function), budget).value()});
  ChatInput input;
  input.messages = List({Message("system", " " + mark + "\n" + mark + " ", jinja::None{}),
                         Message("user", mark + "<|a|>, " + mark, jinja::None{}),
                         Message("assistant", "", tools), Message("tool", mark, jinja::None{})});
  input.tools = tools;
  input.bos_token = "<s>";
  input.eos_token = "</s>";
  input.max_steps = kMaxSteps;
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ChatInput input = MakeInput();
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = ChatTemplate::Parse(source);
  if (!parsed.has_value()) {
    Require(!parsed.error().message.empty());
    return 0;
  }
  const auto pieces = parsed->Render(input);
  if (!pieces.has_value()) {
    Require(!pieces.error().message.empty());
    return 0;
  }
  const bool spells_mark = source.find_first_of("\\\xEE") != std::string_view::npos;
  bool last_from_template = false;
  bool first = true;
  for (const PromptPiece& piece : *pieces) {
    Require(!piece.text.empty());
    Require(first || piece.from_template != last_from_template);
    Require(spells_mark || !piece.from_template || piece.text.find(kMark) == std::string::npos);
    last_from_template = piece.from_template;
    first = false;
  }
  return 0;
}
