#include "engine/runner/answer_text.h"

#include <algorithm>

#include "engine/tokenizer/utf8.h"

namespace fallow::engine {

bool AnswerText::Append(std::string_view bytes) {
  if (stopped_) return true;
  const std::size_t old_size = text_.size();
  waiting_ += bytes;
  std::string_view rest = waiting_;
  while (!rest.empty()) {
    const Utf8Step step = ReadUtf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) break;
    text_ +=
        step.kind == Utf8Kind::kCharacter ? rest.substr(0, step.length) : kReplacementCharacter;
    rest.remove_prefix(step.length);
  }
  waiting_.erase(0, waiting_.size() - rest.size());
  return CutAtStop(old_size);
}

void AnswerText::Finish() {
  if (stopped_ || waiting_.empty()) return;
  const std::size_t old_size = text_.size();
  text_ += kReplacementCharacter;
  waiting_.clear();
  CutAtStop(old_size);
}

bool AnswerText::CutAtStop(std::size_t search_from) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stop_strings_) {
    // It may have begun in what was there before.
    const std::size_t from = search_from - std::min(search_from, stop.size() - 1);
    first = std::min(first, text_.find(stop, from));
  }
  if (first == std::string::npos) return false;
  text_.resize(first);
  stopped_ = true;
  return true;
}

}  // namespace fallow::engine
