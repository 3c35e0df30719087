#include "tests/golden/sequence_run.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace fallow::engine {
namespace {

// A sequence on its way: which of its positions come next, and where they are kept.
struct Lane {
  std::vector<std::uint32_t> tokens;
  std::vector<std::uint32_t> pages;  // as many as a row of the step has
  std::uint32_t rotary_offset = 0;
  std::uint32_t next = 0;
};

// A step under construction.
struct StepInput {
  std::vector<std::uint32_t> tokens, positions, pages, last_seen, rotary_places, output_rows;

  std::uint32_t row_count() const { return static_cast<std::uint32_t>(tokens.size()); }
  StepRows View(std::uint32_t pages_per_row) const {
    return {tokens, positions, pages, pages_per_row, last_seen, rotary_places};
  }
};

class SequenceRun {
 public:
  SequenceRun(Model& model, const SequenceInput& input, const Steps& steps)
      : model_(model), input_(input), steps_(steps) {}

  Result<SequenceOutput> Run() {
    MakeLanes();
    const auto workspace = model_.NewWorkspace(Size());
    FALLOW_RETURN_IF_ERROR(model_.Allocate(*workspace, StepControl()));
    for (std::size_t i = 0; subject_.next < subject_.tokens.size(); ++i) {
      FALLOW_RETURN_IF_ERROR(Step(*workspace, Chunk(i)));
    }
    return std::move(output_);
  }

 private:
  static constexpr std::uint32_t kOtherTokens = kPagePositions;  // others live on one page each

  // Pages in falling order, so that none is where its number would have it.
  void MakeLanes() {
    const auto length = static_cast<std::uint32_t>(input_.tokens.size());
    pages_per_row_ = (length + kPagePositions - 1) / kPagePositions;
    std::uint32_t page = page_count();
    subject_.tokens = input_.tokens;
    subject_.rotary_offset = model_.RotaryOffset(length + input_.max_tokens);
    for (std::uint32_t i = 0; i < pages_per_row_; ++i) subject_.pages.push_back(--page);
    for (std::uint32_t other = 0; other < steps_.other_count; ++other) {
      Lane& lane = others_.emplace_back();
      const std::uint32_t count = model_.looks_ahead() ? 3 + other : kOtherTokens;
      for (std::uint32_t i = 0; i < count; ++i)
        lane.tokens.push_back((other * 37 + i * 11 + 5) % model_.card().vocabulary_size);
      lane.rotary_offset = model_.RotaryOffset(count);
      lane.pages.assign(pages_per_row_, --page);
    }
  }

  std::uint32_t page_count() const { return pages_per_row_ + steps_.other_count; }

  std::uint32_t Chunk(std::size_t step) const {
    const auto left = static_cast<std::uint32_t>(subject_.tokens.size()) - subject_.next;
    if (model_.looks_ahead()) return left;
    return std::min(left, steps_.chunks[std::min(step, steps_.chunks.size() - 1)]);
  }

  // A row or two where the model does not look ahead.
  std::uint32_t OtherChunk(std::uint32_t other) const {
    return model_.looks_ahead() ? static_cast<std::uint32_t>(others_[other].tokens.size())
                                : 1 + other % 2;
  }

  WorkspaceSize Size() const {
    std::uint32_t rows = model_.looks_ahead() ? static_cast<std::uint32_t>(subject_.tokens.size())
                                              : *std::ranges::max_element(steps_.chunks);
    const std::uint32_t outputs = rows + steps_.other_count;
    for (std::uint32_t other = 0; other < steps_.other_count; ++other) rows += OtherChunk(other);
    return {rows, outputs, page_count(), pages_per_row_};
  }

  // Appends the lane's next rows. The last may be put out.
  void AddRows(Lane& lane, std::uint32_t count, StepInput& step) const {
    if (lane.next + count > lane.tokens.size()) lane.next = 0;
    for (std::uint32_t i = 0; i < count; ++i, ++lane.next) {
      step.tokens.push_back(lane.tokens[lane.next]);
      step.positions.push_back(lane.next);
      step.pages.insert(step.pages.end(), lane.pages.begin(), lane.pages.end());
      step.rotary_places.push_back(lane.next + lane.rotary_offset);
      if (model_.looks_ahead())
        step.last_seen.push_back(static_cast<std::uint32_t>(lane.tokens.size()) - 1);
    }
  }

  void AddOther(std::uint32_t other, StepInput& step) {
    AddRows(others_[other], OtherChunk(other), step);
    step.output_rows.push_back(step.row_count() - 1);
  }

  // The sequence lies in the middle of the others.
  Status Step(Model::Workspace& workspace, std::uint32_t count) {
    StepInput step;
    const std::uint32_t half = steps_.other_count / 2;
    for (std::uint32_t other = 0; other < half; ++other) AddOther(other, step);
    const std::uint32_t first_row = step.row_count();
    const std::uint32_t first_position = subject_.next;
    AddRows(subject_, count, step);
    const std::size_t first_output = step.output_rows.size();
    for (const std::uint32_t place : input_.places)
      if (place >= first_position && place < first_position + count)
        step.output_rows.push_back(first_row + place - first_position);
    const std::size_t wanted = step.output_rows.size() - first_output;
    for (std::uint32_t other = half; other < steps_.other_count; ++other) AddOther(other, step);
    if (step.output_rows.empty()) step.output_rows.push_back(0);
    return Compute(workspace, step, first_output, wanted);
  }

  Status Compute(Model::Workspace& workspace, const StepInput& step, std::size_t first_output,
                 std::size_t wanted) {
    const ModelCard& card = model_.card();
    const std::size_t outputs = step.output_rows.size();
    const std::size_t width = card.embedding_length;
    const std::size_t logit_count = card.pooling == Pooling::kNone ? card.vocabulary_size : 0;
    std::vector<float> hidden(outputs * width), logits(outputs * logit_count);
    const StepControl control;
    FALLOW_RETURN_IF_ERROR(model_.Forward(workspace, step.View(pages_per_row_), step.output_rows,
                                          {hidden, logits}, control));
    const auto append = [&](std::vector<float>& to, std::span<const float> all, std::size_t row) {
      const auto own = all.subspan(first_output * row, wanted * row);
      to.insert(to.end(), own.begin(), own.end());
    };
    append(output_.hidden, hidden, width);
    append(output_.logits, logits, logit_count);
    return {};
  }

  Model& model_;
  const SequenceInput& input_;
  const Steps& steps_;
  std::uint32_t pages_per_row_ = 0;
  Lane subject_;
  std::vector<Lane> others_;
  SequenceOutput output_;
};

}  // namespace

Result<SequenceOutput> RunSequence(Model& model, const SequenceInput& input, const Steps& steps) {
  return SequenceRun(model, input, steps).Run();
}

std::vector<float> Pooled(const ModelCard& card, std::span<const float> states) {
  const std::size_t width = card.embedding_length;
  const std::size_t count = states.size() / width;
  const std::size_t first = card.pooling == Pooling::kLast ? count - 1 : 0;
  const std::size_t end = card.pooling == Pooling::kFirst ? 1 : count;
  std::vector<double> sums(width);
  for (std::size_t i = first; i < end; ++i)
    for (std::size_t j = 0; j < width; ++j) sums[j] += states[i * width + j];
  const double length = std::sqrt(std::inner_product(sums.begin(), sums.end(), sums.begin(), 0.0));
  std::vector<float> vector;
  for (const double sum : sums) vector.push_back(static_cast<float>(sum / length));
  return vector;
}

}  // namespace fallow::engine
