#include "engine/cpu/step_executor.h"

#include <algorithm>
#include <chrono>

namespace fallow::engine {
namespace {

// Multiplications below which waking other threads costs more than it gives.
constexpr std::uint64_t kSmallSegmentProducts = 2'000'000;
constexpr std::uint32_t kMinRowsPerTask = 4;
constexpr std::uint32_t kMaxRowsPerTask = 32;
constexpr std::uint32_t kGroupsPerTask = 4;
// At a pace below full, threads compute for about so long between two rests: short beside what
// heats a processor or spins up its fan, long beside the cost of going to sleep.
constexpr std::chrono::milliseconds kBusyBetweenRests{4};

// Segments of small weights go by rows: each thread streams the weights for its own rows, and no
// thread waits for another inside a segment. Large weights are streamed once, each thread computing
// some outputs for all rows.
class StepRun {
 public:
  StepRun(const StepProgram& program, const KernelSet& kernels, ThreadPool& pool,
          const StepControl& control)
      : program_(program), kernels_(kernels), pool_(pool), control_(control) {}

  Status Run() {
    for (const Segment& segment : program_.segments) {
      if (segment.weight_bytes <= kCachedWeightBytes) {
        RunByRows(segment);
      } else {
        RunByOps(segment);
      }
      RestIfBusyFor(kBusyBetweenRests);
      if (Stopped()) return Fail(ErrorCode::kCancelled, "the step was stopped");
    }
    RestIfBusyFor({});
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool Stopped() const { return control_.stopped(); }

  // No thread of the pool has a task then.
  void RestIfBusyFor(std::chrono::nanoseconds least) {
    const std::chrono::nanoseconds busy = Clock::now() - busy_since_;
    if (control_.share() < 1) {
      if (busy < least) return;
      control_.Rest(busy);
    }
    busy_since_ = Clock::now();
  }

  // Each task takes some rows through the whole segment. Two tasks a thread even out what threads
  // get of the processor.
  void RunByRows(const Segment& segment) {
    const bool small =
        segment.weight_bytes > 0 && segment.rows * segment.weight_bytes < kSmallSegmentProducts;
    const std::uint32_t parts = small ? 1 : 2 * pool_.thread_count();
    const std::uint32_t step =
        std::clamp((segment.rows + parts - 1) / parts, kMinRowsPerTask, kMaxRowsPerTask);
    pool_.Run((segment.rows + step - 1) / step, [&](std::uint32_t task) {
      const Range rows{task * step, std::min(segment.rows, (task + 1) * step)};
      for (std::uint32_t i = segment.first_op; i < segment.end_op && !Stopped(); ++i) {
        RunOp(program_.ops[i], rows, AllGroups(program_.ops[i]));
      }
    });
  }

  // Threads meet after every operator; products are shared out by outputs, the rest by rows.
  void RunByOps(const Segment& segment) {
    for (std::uint32_t i = segment.first_op; i < segment.end_op; ++i) {
      const Op& op = program_.ops[i];
      if (op.kind == OpKind::kMatMul) {
        const std::uint32_t group_count = AllGroups(op).end;
        pool_.Run((group_count + kGroupsPerTask - 1) / kGroupsPerTask, [&](std::uint32_t task) {
          if (Stopped()) return;
          RunOp(op, {0, op.rows},
                {task * kGroupsPerTask, std::min(group_count, (task + 1) * kGroupsPerTask)});
        });
      } else {
        pool_.Run(op.rows, [&](std::uint32_t row) {
          if (!Stopped()) RunOp(op, {row, row + 1}, {});
        });
      }
      RestIfBusyFor(kBusyBetweenRests);
    }
  }

  static Range AllGroups(const Op& op) {
    if (op.kind != OpKind::kMatMul) return {};
    return {0, (op.weights->rows() + kRowGroup - 1) / kRowGroup};
  }

  void RunOp(const Op& op, Range rows, Range groups) const {
    if (op.kind == OpKind::kMatMul) {
      kernels_.matmul(op.weights->View(), op.x->View(), rows, groups, op.out->values.data());
      return;
    }
    for (std::uint32_t r = rows.begin; r < rows.end; ++r) RunRow(op, r);
  }

  void RunRow(const Op& op, std::uint32_t r) const {
    if (op.kind == OpKind::kStoreKv) {
      StoreRow(op, r);
      return;
    }
    CpuTensor& out = *op.out;
    const std::uint32_t columns = out.columns();
    switch (op.kind) {
      case OpKind::kEmbed:
        op.weights->Widen(op.embed_by == EmbedBy::kToken ? program_.rows.tokens()[r]
                                                         : program_.rows.positions()[r],
                          out.Row(r));
        return;
      case OpKind::kQuantise:
        QuantiseRow(op, r);
        return;
      case OpKind::kRmsNorm:
        for (std::uint32_t first = 0; first < columns; first += op.y->columns()) {
          kernels_.rms_norm(op.x->Row(r) + first, op.y->Row(0), op.y->columns(), op.number,
                            out.Row(r) + first);
        }
        return;
      case OpKind::kLayerNorm:
        kernels_.layer_norm(op.x->Row(r), op.y->Row(0), op.z->Row(0), columns, op.number,
                            out.Row(r));
        return;
      case OpKind::kRope:
        kernels_.rope(out.Row(r), op.y->Row(program_.rows.rotary_places()[r]), op.rotary,
                      columns / op.rotary.head_size);
        return;
      case OpKind::kAttention:
        AttendRow(op, r);
        return;
      case OpKind::kAdd:
        kernels_.add(out.Row(r), op.y->Row(r), columns);
        return;
      case OpKind::kAddRow:
        kernels_.add(out.Row(r), op.y->Row(0), columns);
        return;
      case OpKind::kScale:
        kernels_.scale(out.Row(r), op.number, columns);
        return;
      case OpKind::kSiluMul:
        kernels_.silu_mul(out.Row(r), op.y->Row(r), columns);
        return;
      case OpKind::kGeluMul:
        kernels_.gelu_mul(out.Row(r), op.y->Row(r), columns);
        return;
      case OpKind::kGeluErf:
        kernels_.gelu_erf(out.Row(r), columns);
        return;
      case OpKind::kSoftcap:
        kernels_.softcap(out.Row(r), op.cap, columns);
        return;
      case OpKind::kGatherRows:
        std::copy_n(op.x->Row(program_.source_rows[op.first_source_row + r]), columns, out.Row(r));
        return;
      case OpKind::kStoreKv:
      case OpKind::kMatMul:
        return;
    }
  }

  void QuantiseRow(const Op& op, std::uint32_t r) const {
    CpuTensor& x = *op.out;
    const std::uint32_t columns = x.columns();
    if (op.form == ActivationForm::kInt8Per256) {
      kernels_.quantise_per_256(x.Row(r), columns,
                                x.per_256.data() + std::size_t{r} * (columns / 256));
    } else {
      kernels_.quantise_per_32(x.Row(r), columns,
                               x.per_32.data() + std::size_t{r} * (columns / 32));
    }
  }

  void StoreRow(const Op& op, std::uint32_t r) const {
    const KvCacheView& cache = op.attention.cache;
    const std::uint32_t position = program_.rows.positions()[r];
    const std::uint32_t page = program_.rows.PagesOf(r)[position / kPagePositions];
    for (std::uint32_t head = 0; head < cache.kv_head_count; ++head) {
      const std::size_t first = std::size_t{head} * cache.head_size;
      kernels_.store_kv(op.x->Row(r) + first, op.y->Row(r) + first, cache, cache.At(page, head),
                        position % kPagePositions);
    }
  }

  void AttendRow(const Op& op, std::uint32_t r) const {
    AttentionTask task = op.attention;
    task.pages = program_.rows.PagesOf(r);
    task.first = program_.rows.FirstSeen(r, op.window);
    task.last = program_.rows.LastSeen(r);
    const std::size_t step = std::size_t{task.head_count} * task.cache.head_size;
    for (; task.kv_head < task.cache.kv_head_count; ++task.kv_head) {
      const std::size_t first = task.kv_head * step;
      kernels_.attention(op.x->Row(r) + first, task, op.out->Row(r) + first);
    }
  }

  const StepProgram& program_;
  const KernelSet& kernels_;
  ThreadPool& pool_;
  const StepControl& control_;
  Clock::time_point busy_since_ = Clock::now();
};

}  // namespace

Status ExecuteStep(const StepProgram& program, const KernelSet& kernels, ThreadPool& pool,
                   const StepControl& control) {
  return StepRun(program, kernels, pool, control).Run();
}

}  // namespace fallow::engine
