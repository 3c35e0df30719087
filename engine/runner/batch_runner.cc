#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <list>

#include "engine/runner.h"
#include "engine/runner/page_pool.h"
#include "engine/runner/sequence.h"
#include "protocol/limits.h"

namespace fallow::engine {
namespace {

std::uint32_t PagesFor(std::uint32_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

// A request whose prompt has been made, and which waits for a sequence and pages.
struct Waiting {
  std::uint64_t ticket = 0;
  InferenceRequest request;
  std::vector<std::uint32_t> prompt;
  std::uint32_t max_tokens = 0;
  // The last generated token is never put in the caches.
  std::uint32_t page_count() const {
    return PagesFor(static_cast<std::uint32_t>(prompt.size()) + max_tokens - 1);
  }
};

// The step's buffers, kept between steps.
struct StepBuffers {
  std::vector<std::uint32_t> tokens, positions, pages, output_rows;
  std::vector<float> hidden, logits;

  void Clear() {
    tokens.clear();
    positions.clear();
    pages.clear();
    output_rows.clear();
  }
};

// One sequence's part of a step.
struct Share {
  Sequence* sequence = nullptr;
  std::uint32_t count = 0;  // rows
  bool generates = false;   // its last row is the last pending one, so a token follows
};

class BatchRunner final : public Runner {
 public:
  BatchRunner(Model& model, const RunnerOptions& options, std::uint32_t page_count,
              std::unique_ptr<Model::Workspace> workspace)
      : model_(model),
        max_sequence_count_(options.max_sequence_count),
        max_rows_per_step_(options.max_rows_per_step),
        pages_per_row_(PagesFor(model.card().context_length)),
        pool_(page_count),
        workspace_(std::move(workspace)) {}

  void Add(std::uint64_t ticket, InferenceRequest request) override {
    auto waiting = Prepare(ticket, std::move(request));
    if (waiting.has_value()) {
      waiting_.push_back(*std::move(waiting));
    }
  }

  void Drop(std::uint64_t ticket) override {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.ticket == ticket; });
    std::erase_if(finished_,
                  [&](const FinishedRequest& finished) { return finished.ticket == ticket; });
    running_.remove_if([&](const Sequence& sequence) {
      if (sequence.ticket() != ticket) return false;
      pool_.Return(sequence.pages());
      return true;
    });
  }

  void Clear() override {
    waiting_.clear();
    finished_.clear();
    for (const Sequence& sequence : running_) pool_.Return(sequence.pages());
    running_.clear();
  }

  bool idle() const override { return waiting_.empty() && running_.empty() && finished_.empty(); }

  WorkProgress progress() const override {
    WorkProgress progress = progress_;
    progress.active_sequence_count = static_cast<std::uint32_t>(running_.size());
    progress.waiting_request_count = static_cast<std::uint32_t>(waiting_.size());
    return progress;
  }

  Result<std::vector<FinishedRequest>> Step(const StopFlag& stop) override {
    Admit();
    PlanStep();
    if (!shares_.empty()) {
      FALLOW_RETURN_IF_ERROR(Compute(stop));
      TakeOutputs();
    }
    return std::exchange(finished_, {});
  }

 private:
  // Makes the prompt and checks that it fits; a request at fault is finished at once.
  std::optional<Waiting> Prepare(std::uint64_t ticket, InferenceRequest request) {
    auto prompt = model_.chat_format().Render(request.messages, model_.tokenizer());
    if (!prompt.has_value()) {
      FinishWithError(ticket, request.index, std::move(prompt).error());
      return std::nullopt;
    }
    const std::uint32_t context = model_.card().context_length;
    if (prompt->size() >= context) {
      FinishWithError(
          ticket, request.index,
          {ErrorCode::kInvalidArgument,
           fmt::format("the prompt has {} tokens and leaves no room in the context of {}",
                       prompt->size(), context)});
      return std::nullopt;
    }
    for (const std::string& stop : request.stop) {
      if (stop.empty()) {
        FinishWithError(ticket, request.index,
                        {ErrorCode::kInvalidArgument, "stop: an empty string"});
        return std::nullopt;
      }
    }
    const std::uint32_t room = context - static_cast<std::uint32_t>(prompt->size());
    const std::uint32_t max_tokens =
        request.max_tokens == 0 ? room : std::min(room, request.max_tokens);
    return Waiting{ticket, std::move(request), *std::move(prompt), max_tokens};
  }

  void FinishWithError(std::uint64_t ticket, std::uint64_t request_index, Error error) {
    FinishedRequest& finished = finished_.emplace_back();
    finished.ticket = ticket;
    finished.result.request_index = request_index;
    finished.result.error = std::move(error);
  }

  // In order of arrival: a large request is not overtaken for ever by small ones.
  void Admit() {
    while (!waiting_.empty() && running_.size() < max_sequence_count_ &&
           waiting_.front().page_count() <= pool_.free_count()) {
      Waiting& next = waiting_.front();
      auto pages = pool_.Take(next.page_count());
      running_.emplace_back(next.ticket, std::move(next.request), std::move(next.prompt),
                            next.max_tokens, std::move(pages));
      waiting_.pop_front();
    }
  }

  // Every sequence that generates gets its row first; prompts share what is left, the oldest first.
  void PlanStep() {
    shares_.clear();
    std::uint32_t left = max_rows_per_step_;
    for (Sequence& sequence : running_) {
      if (!sequence.decoding() || left == 0) continue;
      shares_.push_back({&sequence, 1, true});
      --left;
    }
    for (Sequence& sequence : running_) {
      if (sequence.decoding() || left == 0) continue;
      const std::uint32_t count = std::min(left, sequence.pending_count());
      shares_.push_back({&sequence, count, count == sequence.pending_count()});
      left -= count;
    }
  }

  Status Compute(const StopFlag& stop) {
    StepBuffers& step = buffers_;
    step.Clear();
    for (const Share& share : shares_) {
      for (std::uint32_t i = 0; i < share.count; ++i) {
        const std::uint32_t position = share.sequence->cached_count() + i;
        step.tokens.push_back(share.sequence->token_at(position));
        step.positions.push_back(position);
        step.pages.insert(step.pages.end(), share.sequence->pages().begin(),
                          share.sequence->pages().end());
        step.pages.resize(step.tokens.size() * pages_per_row_);
      }
      if (share.generates)
        step.output_rows.push_back(static_cast<std::uint32_t>(step.tokens.size()) - 1);
    }
    // A model gives at least one output; a step of prompts alone may need none.
    const bool no_outputs = step.output_rows.empty();
    if (no_outputs) step.output_rows.push_back(0);
    step.hidden.resize(step.output_rows.size() * model_.card().embedding_length);
    step.logits.resize(step.output_rows.size() * model_.card().vocabulary_size);
    return model_.Forward(*workspace_, {step.tokens, step.positions, step.pages, pages_per_row_},
                          step.output_rows, {step.hidden, step.logits}, stop);
  }

  void TakeOutputs() {
    const std::size_t hidden_size = model_.card().embedding_length;
    const std::size_t logits_size = model_.card().vocabulary_size;
    std::size_t output = 0;
    for (const Share& share : shares_) {
      Sequence& sequence = *share.sequence;
      if (!sequence.decoding()) progress_.prompt_token_count += share.count;
      sequence.Advance(share.count);
      if (!share.generates) continue;
      ++progress_.generated_token_count;
      const bool done =
          sequence.Generate(std::span(buffers_.hidden).subspan(output * hidden_size, hidden_size),
                            std::span(buffers_.logits).subspan(output * logits_size, logits_size),
                            model_.tokenizer(), sampler_);
      ++output;
      if (done) Retire(sequence);
    }
  }

  void Retire(Sequence& sequence) {
    finished_.push_back({sequence.ticket(), sequence.TakeResult()});
    pool_.Return(sequence.pages());
    running_.remove_if([&](const Sequence& other) { return &other == &sequence; });
  }

  Model& model_;
  std::uint32_t max_sequence_count_;
  std::uint32_t max_rows_per_step_;
  std::uint32_t pages_per_row_;
  PagePool pool_;
  std::unique_ptr<Model::Workspace> workspace_;
  std::deque<Waiting> waiting_;
  std::list<Sequence> running_;  // in order of arrival
  std::vector<FinishedRequest> finished_;
  std::vector<Share> shares_;
  StepBuffers buffers_;
  Sampler sampler_;
  WorkProgress progress_;
};

// Half of what the weights leave of the backend's memory: the rest is the machine's. Where they
// leave little or nothing, an eighth may be tried: some drivers give more than they name.
std::uint64_t UsualBytes(Model& model) {
  const std::uint64_t memory = model.backend().info().memory_bytes;
  const std::uint64_t weights = model.card().file_bytes;
  return std::max(memory > weights ? (memory - weights) / 2 : 0, memory / 8);
}

// Computes one row, so that what a backend allocates at first use is there before the first
// request, or is known to be too much.
Status WarmUp(Model& model, Model::Workspace& workspace) {
  const std::vector<std::uint32_t> zero(1);
  std::vector<float> hidden(model.card().embedding_length), logits(model.card().vocabulary_size);
  const StopFlag never = false;
  return model.Forward(workspace, {zero, zero, zero, 1}, zero, {hidden, logits}, never);
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::Create(Model& model, const RunnerOptions& options) {
  RunnerOptions chosen = options;
  if (chosen.max_sequence_count == 0 || chosen.max_rows_per_step == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "a runner needs at least one sequence and one row per step");
  }
  chosen.max_sequence_count = std::min(chosen.max_sequence_count, chosen.max_rows_per_step);
  // Caches for this many sequences of a whole context: fewer when they do not fit. Shorter requests
  // take fewer pages, so more of them than that may still run at once.
  const std::uint32_t context_pages = PagesFor(model.card().context_length);
  const std::uint64_t allowed_bytes =
      options.memory_bytes != 0 ? options.memory_bytes : UsualBytes(model);
  Error last_error;
  for (std::uint32_t full_sequences = chosen.max_sequence_count; full_sequences > 0;
       full_sequences /= 2) {
    const std::uint32_t page_count = full_sequences * context_pages;
    const std::uint64_t bytes = model.WorkspaceBytes(chosen.max_rows_per_step, page_count);
    if (bytes > allowed_bytes) {
      last_error = {
          ErrorCode::kResourceExhausted,
          fmt::format("one sequence needs {} bytes for caches and buffers; {} are allowed", bytes,
                      allowed_bytes)};
      continue;
    }
    auto workspace = model.NewWorkspace(chosen.max_rows_per_step, page_count);
    const Status warm = workspace.has_value() ? WarmUp(model, **workspace) : Status();
    if (workspace.has_value() && warm.has_value()) {
      return std::make_unique<BatchRunner>(model, chosen, page_count, *std::move(workspace));
    }
    last_error = workspace.has_value() ? warm.error() : workspace.error();
    if (last_error.code != ErrorCode::kResourceExhausted) return std::unexpected(last_error);
    last_error.message = fmt::format("one sequence needs {} bytes for caches and buffers: {}",
                                     bytes, last_error.message);
  }
  return std::unexpected(last_error);
}

}  // namespace fallow::engine
