#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "engine/runner.h"
#include "engine/runner/memory_plan.h"
#include "engine/runner/page_lender.h"
#include "engine/runner/request_reader.h"

namespace fallow::engine {
namespace {

// More than any kernel computes one by one.
constexpr std::uint32_t kWarmUpRows = 8;

// The step's buffers, kept between steps.
struct StepBuffers {
  std::vector<std::uint32_t> tokens, positions, pages, last_seen, rotary_places, output_rows;
  std::vector<float> hidden, logits;

  void Clear() {
    for (auto* column : {&tokens, &positions, &pages, &last_seen, &rotary_places, &output_rows})
      column->clear();
  }
};

// One sequence's part of a step.
struct Share {
  Sequence* sequence = nullptr;
  std::uint32_t count = 0;  // rows
};

class BatchRunner final : public Runner {
 public:
  BatchRunner(Model& model, const MemoryPlan& plan, std::unique_ptr<Model::Workspace> workspace)
      : model_(model),
        plan_(plan),
        workspace_(std::move(workspace)),
        row_limit_(plan.workspace.max_rows),
        lender_(plan.workspace.page_count, plan.max_sequence_count) {}

  const MemoryPlan& plan() const override { return plan_; }

  void Add(std::uint64_t ticket, InferenceRequest request) override {
    auto running = std::make_shared<RunningRequest>();
    running->ticket = ticket;
    running->result.request_index = request.index;
    const SequenceLimits limits{
        .max_tokens = cached_tokens(),
        .max_step_rows = std::max(plan_.workspace.max_rows, kMaxLookAheadRows)};
    auto sequences = ReadRequest(running, request, model_, limits, sampler_);
    if (!sequences.has_value()) {
      running->FailWith(std::move(sequences).error());
      finished_.push_back({ticket, std::move(running->result)});
      return;
    }
    running->open_sequence_count = static_cast<std::uint32_t>(sequences->size());
    for (auto& sequence : *sequences) lender_.Add(std::move(sequence));
  }

  void Drop(std::uint64_t ticket) override {
    std::erase_if(finished_,
                  [&](const FinishedRequest& finished) { return finished.ticket == ticket; });
    lender_.RemoveIf([&](const Sequence& sequence) { return sequence.ticket() == ticket; });
  }

  void Clear() override {
    finished_.clear();
    lender_.RemoveIf([](const Sequence&) { return true; });
    progress_ = {};
  }

  bool idle() const override {
    return lender_.waiting().empty() && lender_.running().empty() && finished_.empty();
  }

  WorkProgress progress() const override {
    WorkProgress progress = progress_;
    progress.active_sequence_count = static_cast<std::uint32_t>(lender_.running().size());
    progress.waiting_request_count = static_cast<std::uint32_t>(lender_.waiting().size());
    return progress;
  }

  Result<std::vector<FinishedRequest>> Step(const StepControl& control) override {
    FailOutgrown();
    MakeRoom();
    lender_.Admit();
    PlanStep();
    if (!shares_.empty()) {
      Status status = Compute(control);
      while (!status.has_value() && status.error().code == ErrorCode::kResourceExhausted &&
             PlanShorterStep()) {
        status = Compute(control);
      }
      FALLOW_RETURN_IF_ERROR(status);
      TakeOutputs();
    }
    return std::exchange(finished_, {});
  }

 private:
  // All pages together.
  std::uint32_t cached_tokens() const { return plan_.workspace.page_count * kPagePositions; }

  // An answer that would not fit if it had all pages is for a device that has more.
  void FailOutgrown() {
    auto& running = lender_.running();
    for (auto next = running.begin(); next != running.end();) {
      Sequence& sequence = **next++;
      if (sequence.token_count() <= cached_tokens()) continue;
      sequence.request().FailWith(
          {ErrorCode::kResourceExhausted,
           fmt::format("the request has come to {} tokens; this device's caches hold {}",
                       sequence.token_count(), cached_tokens())});
      Retire(sequence);
    }
  }

  // Those that grew in the last step may need a page; the oldest take it first.
  void MakeRoom() {
    auto& running = lender_.running();
    for (auto next = running.begin(); next != running.end(); ++next) {
      if (!lender_.Grow(**next, (*next)->token_count())) return;
    }
  }

  // Every sequence that waits for one row gets it first; longer ones share what is left, the oldest
  // first. Where rows see what is behind them a sequence is computed whole or not at all, and the
  // oldest goes first whatever its length: small ones could keep a large one out for ever.
  void PlanStep() {
    shares_.clear();
    std::uint32_t left = row_limit_;
    for (const bool single : {true, false}) {
      for (const auto& sequence : lender_.running()) {
        const std::uint32_t pending = sequence->pending_count();
        if ((pending == 1 && !model_.looks_ahead()) != single || left == 0) continue;
        if (model_.looks_ahead() && pending > left) continue;
        shares_.push_back({sequence.get(), std::min(left, pending)});
        left -= shares_.back().count;
      }
    }
  }

  // The device found no room for a step: steps have half its rows from now on. False where that
  // cannot help.
  bool PlanShorterStep() {
    std::uint32_t rows = 0;
    for (const Share& share : shares_) rows += share.count;
    if (rows == 1 || model_.looks_ahead()) return false;
    row_limit_ = rows / 2;
    LOG_WARN("runner: no room for a step of {} rows, going on with {}", rows, row_limit_);
    PlanStep();
    return true;
  }

  void AddRow(Sequence& sequence, std::uint32_t position) {
    StepBuffers& step = buffers_;
    const auto row = static_cast<std::uint32_t>(step.tokens.size());
    step.tokens.push_back(sequence.token_at(position));
    step.positions.push_back(position);
    step.last_seen.push_back(model_.looks_ahead() ? sequence.token_count() - 1 : position);
    step.rotary_places.push_back(position + sequence.rotary_offset());
    step.pages.insert(step.pages.end(), sequence.pages().begin(), sequence.pages().end());
    step.pages.resize(step.tokens.size() * plan_.workspace.pages_per_row);
    if (sequence.WantsState(position)) step.output_rows.push_back(row);
  }

  Status Compute(const StepControl& control) {
    StepBuffers& step = buffers_;
    step.Clear();
    for (const Share& share : shares_) {
      for (std::uint32_t i = 0; i < share.count; ++i)
        AddRow(*share.sequence, share.sequence->cached_count() + i);
    }
    // A model puts out at least one state; a step of prompts alone may need none.
    const bool none_wanted = step.output_rows.empty();
    if (none_wanted) step.output_rows.push_back(0);
    const bool generates = model_.card().pooling == Pooling::kNone && !none_wanted;
    step.hidden.resize(step.output_rows.size() * model_.card().embedding_length);
    step.logits.resize(generates ? step.output_rows.size() * model_.card().vocabulary_size : 0);
    return model_.Forward(*workspace_,
                          {.tokens = step.tokens,
                           .positions = step.positions,
                           .pages = step.pages,
                           .pages_per_row = plan_.workspace.pages_per_row,
                           .last_seen = step.last_seen,
                           .rotary_places = step.rotary_places},
                          step.output_rows, {step.hidden, step.logits}, control);
  }

  void TakeOutputs() {
    std::size_t output = 0;
    for (const Share& share : shares_) {
      Sequence& sequence = *share.sequence;
      const std::uint32_t first = sequence.cached_count();
      progress_.prompt_token_count += sequence.Advance(share.count);
      bool done = sequence.request().failed;
      for (std::uint32_t i = 0; i < share.count; ++i) {
        if (!sequence.WantsState(first + i)) continue;
        const std::size_t place = output++;
        if (!done) done = sequence.Take(first + i, Hidden(place), Logits(place));
      }
      if (done) Retire(sequence);
    }
    lender_.RemoveIf([](const Sequence& sequence) { return sequence.request().failed; });
    if (!buffers_.logits.empty()) progress_.generated_token_count += output;
  }

  std::span<const float> Hidden(std::size_t output) const {
    const std::size_t size = model_.card().embedding_length;
    return std::span(buffers_.hidden).subspan(output * size, size);
  }
  std::span<const float> Logits(std::size_t output) const {
    const std::size_t size = buffers_.logits.empty() ? 0 : model_.card().vocabulary_size;
    return std::span(buffers_.logits).subspan(output * size, size);
  }

  void Retire(Sequence& sequence) {
    RunningRequest& request = sequence.request();
    --request.open_sequence_count;
    if (!request.reported && (request.open_sequence_count == 0 || request.failed)) {
      request.reported = true;
      finished_.push_back({request.ticket, std::move(request.result)});
    }
    lender_.Retire(sequence);
  }

  Model& model_;
  MemoryPlan plan_;
  std::unique_ptr<Model::Workspace> workspace_;
  std::uint32_t row_limit_;  // of a step
  PageLender lender_;
  std::vector<FinishedRequest> finished_;
  std::vector<Share> shares_;
  StepBuffers buffers_;
  Sampler sampler_;
  WorkProgress progress_;
};

// `rows` rows of one sequence from position `first` on, all of token 0.
Status ComputeZeros(Model& model, const WorkspaceSize& size, Model::Workspace& workspace,
                    std::uint32_t rows, std::uint32_t first, const StepControl& control) {
  const ModelCard& card = model.card();
  const std::uint32_t outputs = std::min(rows, size.max_outputs);
  const std::uint32_t pages_per_row = (first + rows - 1) / kPagePositions + 1;
  std::vector<std::uint32_t> positions, pages, output_rows;
  for (std::uint32_t r = 0; r < rows; ++r) {
    positions.push_back(first + r);
    for (std::uint32_t page = 0; page < pages_per_row; ++page) pages.push_back(page);
    if (r < outputs) output_rows.push_back(r);
  }
  const std::vector<std::uint32_t> tokens(rows);
  std::vector<float> hidden(std::size_t{outputs} * card.embedding_length);
  std::vector<float> logits(
      card.pooling == Pooling::kNone ? std::size_t{outputs} * card.vocabulary_size : 0);
  return model.Forward(
      workspace,
      {.tokens = tokens, .positions = positions, .pages = pages, .pages_per_row = pages_per_row},
      output_rows, {hidden, logits}, control);
}

// Computes one row, so that what a backend allocates at first use is there before the first
// request, or is known to be too much. Then some rows at once, of a short sequence and of one
// longer than a page: a driver compiles a kernel when it is first used, and nothing stops it
// meanwhile. That belongs to the load, not to the moment when an owner comes back.
Status WarmUp(Model& model, const WorkspaceSize& size, Model::Workspace& workspace,
              const StepControl& control) {
  FALLOW_RETURN_IF_ERROR(ComputeZeros(model, size, workspace, 1, 0, control));
  const std::uint32_t rows = std::min({kWarmUpRows, size.max_rows, model.card().context_length});
  for (const std::uint32_t first : {0u, kPagePositions}) {
    const std::uint32_t end = first + rows;
    if (end > model.card().context_length || end > size.page_count * kPagePositions) continue;
    const Status status = ComputeZeros(model, size, workspace, rows, first, control);
    // Room for one row at a time is enough.
    if (!status.has_value() && status.error().code != ErrorCode::kResourceExhausted) return status;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Runner>> RunnerStart::Run(const StepControl& control) {
  if (!plan_.has_value()) {
    FALLOW_ASSIGN_OR_RETURN(plan_, PlanMemory(model_, options_));
  }
  for (;;) {
    if (workspace_ == nullptr) workspace_ = model_.NewWorkspace(plan_->workspace);
    Status status = model_.Allocate(*workspace_, control);
    if (status.has_value()) status = WarmUp(model_, plan_->workspace, *workspace_, control);
    if (status.has_value())
      return std::make_unique<BatchRunner>(model_, *plan_, std::move(workspace_));
    Error error = std::move(status).error();
    if (error.code != ErrorCode::kResourceExhausted) return std::unexpected(std::move(error));
    // The device gives less than it names: fewer sequences, then.
    if (plan_->workspace.page_count == 1) {
      error.message = fmt::format("one page of caches and the buffers of a step need {} bytes: {}",
                                  plan_->workspace_bytes, error.message);
      return std::unexpected(std::move(error));
    }
    workspace_.reset();
    plan_ = PlanWithPages(model_, options_, plan_->workspace.page_count / 2);
  }
}

Result<std::unique_ptr<Runner>> Runner::Create(Model& model, const RunnerOptions& options,
                                               const StepControl& control) {
  return RunnerStart(model, options).Run(control);
}

}  // namespace fallow::engine
