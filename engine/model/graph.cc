#include "engine/model/graph.h"

#include <algorithm>

namespace fallow::engine {
namespace {

struct Life {
  std::size_t first = SIZE_MAX;  // operator
  std::size_t last = 0;

  void Include(std::size_t op) {
    first = std::min(first, op);
    last = std::max(last, op);
  }
};

std::vector<Life> FindLives(const Graph& graph) {
  std::vector<Life> lives(graph.values.size());
  const auto include = [&](Value value, std::size_t op) {
    lives[static_cast<std::uint32_t>(value)].Include(op);
  };
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    include(graph.ops[i].x, i);
    include(graph.ops[i].y, i);
    include(graph.ops[i].out, i);
  }
  // Read after the step.
  include(graph.state, graph.ops.size());
  include(graph.logits, graph.ops.size());
  return lives;
}

Int8Forms FormsFor(const GraphWeight& weight) {
  const WeightFormat* format = FindWeightFormat(weight.tensor->type->name);
  const ActivationForm form = format == nullptr ? ActivationForm::kFloat : format->activations();
  return {form == ActivationForm::kInt8Per32, form == ActivationForm::kInt8Per256};
}

}  // namespace

void AssignBuffers(Graph& graph) {
  const std::vector<Life> lives = FindLives(graph);
  std::vector<std::size_t> busy_until;  // by buffer
  std::vector<std::uint32_t> order(graph.values.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return lives[i].first; });
  for (const std::uint32_t i : order) {
    GraphValue& value = graph.values[i];
    std::uint32_t buffer = 0;
    while (buffer < graph.buffers.size() &&
           (busy_until[buffer] >= lives[i].first ||
            graph.buffers[buffer].columns != value.columns ||
            graph.buffers[buffer].of_outputs != value.of_outputs)) {
      ++buffer;
    }
    if (buffer == graph.buffers.size()) {
      graph.buffers.push_back({value.columns, value.of_outputs});
      busy_until.push_back(0);
    }
    value.buffer = buffer;
    busy_until[buffer] = lives[i].last;
  }
  for (const GraphOp& op : graph.ops) {
    if (op.kind != GraphOpKind::kMatMul) continue;
    const Int8Forms forms = FormsFor(graph.weights[op.weight]);
    Int8Forms& held = graph.buffers[graph.At(op.x).buffer].forms;
    held.per_32 = held.per_32 || forms.per_32;
    held.per_256 = held.per_256 || forms.per_256;
  }
}

}  // namespace fallow::engine
