#include "engine/runner/request_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runner/answer_sequence.h"
#include "engine/runner/text_sequence.h"

namespace fallow::engine {
namespace {

using Sequences = std::vector<std::unique_ptr<Sequence>>;

std::unexpected<Error> AtFault(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

class RequestReader {
 public:
  RequestReader(const std::shared_ptr<RunningRequest>& running, const InferenceRequest& request,
                Model& model, const SequenceLimits& limits, Sampler& sampler)
      : running_(running), request_(request), model_(model), limits_(limits), sampler_(sampler) {}

  Result<Sequences> Run() {
    const bool embeds = model_.card().pooling != Pooling::kNone;
    if (embeds != request_.messages.empty() || embeds == request_.inputs.empty()) {
      return AtFault(embeds ? "the model embeds: it takes inputs, not messages"
                            : "the model generates: it takes messages, not inputs");
    }
    return embeds ? ReadTexts() : ReadChat();
  }

 private:
  std::uint32_t context() const { return model_.card().context_length; }

  Status CheckRoom(std::uint64_t tokens) const {
    if (tokens <= limits_.max_tokens) return {};
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the request may need {} tokens; this device's caches hold {}", tokens,
                            limits_.max_tokens));
  }

  Result<Sequences> ReadChat() {
    for (const std::string& stop : request_.stop) {
      if (stop.empty()) return AtFault("stop: an empty string");
    }
    FALLOW_ASSIGN_OR_RETURN(auto prompt,
                            model_.chat_format().Render(request_.messages, model_.tokenizer()));
    if (prompt.empty()) return AtFault("the prompt has no tokens");
    if (prompt.size() >= context()) {
      return AtFault(fmt::format("the prompt has {} tokens and leaves no room in the context of {}",
                                 prompt.size(), context()));
    }
    const auto prompt_count = static_cast<std::uint32_t>(prompt.size());
    const std::uint32_t room = context() - prompt_count;
    const std::uint32_t max_tokens =
        request_.max_tokens == 0 ? room : std::min(room, request_.max_tokens);
    FALLOW_RETURN_IF_ERROR(CheckRoom(std::uint64_t{prompt_count} + max_tokens - 1));
    running_->result.prompt_token_count = prompt_count;
    Sequences sequences;
    sequences.push_back(std::make_unique<AnswerSequence>(
        running_, request_, std::move(prompt), max_tokens,
        model_.RotaryOffset(prompt_count + max_tokens), model_.tokenizer(), sampler_));
    return sequences;
  }

  Result<Sequences> ReadTexts() {
    Sequences sequences;
    const auto count = static_cast<std::uint32_t>(request_.inputs.size());
    running_->result.embeddings.resize(count);
    running_->result.state_digests.resize(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      FALLOW_ASSIGN_OR_RETURN(auto tokens, ReadText(i));
      const auto token_count = static_cast<std::uint32_t>(tokens.size());
      running_->result.prompt_token_count += token_count;
      sequences.push_back(std::make_unique<TextSequence>(
          running_, std::move(tokens), i, model_.RotaryOffset(token_count), model_.card().pooling));
    }
    return sequences;
  }

  Result<std::vector<std::uint32_t>> ReadText(std::uint32_t index) {
    const EmbeddingInput& input = request_.inputs[index];
    auto tokens =
        input.token_ids.empty() ? model_.tokenizer().EncodeText(input.text) : input.token_ids;
    if (tokens.empty()) return AtFault(fmt::format("input {} is empty", index));
    for (const std::uint32_t token : tokens) {
      if (token < model_.card().vocabulary_size) continue;
      return AtFault(fmt::format("input {}: token {} is beyond the vocabulary of {}", index, token,
                                 model_.card().vocabulary_size));
    }
    if (tokens.size() > context()) {
      return AtFault(fmt::format("input {} has {} tokens; the model's context is {}", index,
                                 tokens.size(), context()));
    }
    if (model_.looks_ahead() && tokens.size() > limits_.max_step_rows) {
      return AtFault(fmt::format("input {} has {} tokens; at most {} are computed at once", index,
                                 tokens.size(), limits_.max_step_rows));
    }
    FALLOW_RETURN_IF_ERROR(CheckRoom(tokens.size()));
    return tokens;
  }

  const std::shared_ptr<RunningRequest>& running_;
  const InferenceRequest& request_;
  Model& model_;
  const SequenceLimits& limits_;
  Sampler& sampler_;
};

}  // namespace

Result<Sequences> ReadRequest(const std::shared_ptr<RunningRequest>& running,
                              const InferenceRequest& request, Model& model,
                              const SequenceLimits& limits, Sampler& sampler) {
  return RequestReader(running, request, model, limits, sampler).Run();
}

}  // namespace fallow::engine
