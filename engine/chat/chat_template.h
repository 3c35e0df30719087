// A ChatTemplate is a model's own Jinja template for conversations, parsed and ready to render.
//
// The language is what chat templates use of Jinja, with the settings of Hugging Face's
// apply_chat_template: trim_blocks, lstrip_blocks, loop controls, generation blocks, its tojson
// (keys in their order, nothing escaped for HTML), raise_exception and strftime_now. Rendering is
// deterministic: the same input gives the same prompt on every device.
// Threading: immutable; any number of renderings at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat/jinja/callable.h"
#include "engine/chat/jinja/value.h"
#include "engine/tokenizer/tokenizer.h"

namespace fallow::engine {

namespace jinja {
struct Program;
}

// The day that strftime_now tells unless the input says another: a request has the same prompt
// whenever and wherever it runs. It is the day that Llama 3's templates assume without a clock.
inline constexpr jinja::CivilTime kDefaultChatTime{.year = 2024, .month = 7, .day = 26};

// What a template renders. Texts in values say who wrote them: build what comes from outside with
// jinja::Value::OfMessage, so that it cannot spell control tokens.
struct ChatInput {
  jinja::Value messages;                   // a list of dictionaries with role, content, …
  jinja::Value tools = jinja::None{};      // a list, or None
  jinja::Value documents = jinja::None{};  // a list, or None
  bool add_generation_prompt = true;       // open the assistant's next message
  std::string bos_token;                   // as the vocabulary spells them; empty if it has none
  std::string eos_token;
  // enable_thinking and what else a template may ask for; they override the above.
  std::map<std::string, jinja::Value, std::less<>> variables;
  jinja::CivilTime now = kDefaultChatTime;
  std::uint64_t max_steps = kMaxRenderSteps;  // a caller may allow less
};

class ChatTemplate {
 public:
  // kUnimplemented names a construct that we do not interpret, with its line and column;
  // kInvalidArgument what is no template; kResourceExhausted what is beyond engine/chat/limits.h.
  static Result<ChatTemplate> Parse(std::string_view source);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The prompt's text in runs of one writer each. kInvalidArgument where the template refuses the
  // input, with its words, or the input lacks what the template needs; kResourceExhausted beyond
  // engine/chat/limits.h.
  Result<std::vector<PromptPiece>> Render(const ChatInput& input) const;

 private:
  explicit ChatTemplate(std::unique_ptr<const jinja::Program> program);
  std::unique_ptr<const jinja::Program> program_;
};

}  // namespace fallow::engine
