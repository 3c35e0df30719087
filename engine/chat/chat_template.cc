#include "engine/chat/chat_template.h"

#include "engine/chat/jinja/calendar.h"
#include "engine/chat/jinja/interpreter.h"
#include "engine/chat/jinja/parser.h"

namespace fallow::engine {

using jinja::Value;

ChatTemplate::ChatTemplate(std::unique_ptr<const jinja::Program> program)
    : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::Parse(std::string_view source) {
  FALLOW_ASSIGN_OR_RETURN(jinja::Program program, jinja::ParseTemplate(source));
  return ChatTemplate(std::make_unique<const jinja::Program>(std::move(program)));
}

Result<std::vector<PromptPiece>> ChatTemplate::Render(const ChatInput& input) const {
  if (!jinja::IsCivilTime(input.now))
    return Fail(ErrorCode::kInvalidArgument, "the day and time to render with do not exist");
  std::map<std::string, Value, std::less<>> variables = input.variables;
  variables.try_emplace("messages", input.messages);
  variables.try_emplace("tools", input.tools);
  variables.try_emplace("documents", input.documents);
  variables.try_emplace("add_generation_prompt", input.add_generation_prompt);
  variables.try_emplace("bos_token", Value::OfTemplate(input.bos_token));
  variables.try_emplace("eos_token", Value::OfTemplate(input.eos_token));
  jinja::Context context{.budget = jinja::Budget(input.max_steps), .now = input.now};
  FALLOW_ASSIGN_OR_RETURN(const jinja::Text prompt,
                          jinja::Interpreter(*program_, context).Run(std::move(variables)));
  return prompt.Pieces();
}

}  // namespace fallow::engine
