#include "engine/runner/page_lender.h"

#include <algorithm>

#include "base/check.h"

namespace fallow::engine {

// One page for each that will want more: so those that run seldom push each other out.
std::uint32_t PageLender::PagesStillToGrow() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(running_, [](const auto& sequence) {
    return PagesFor(sequence->final_token_count()) > sequence->pages().size();
  }));
}

void PageLender::Admit() {
  while (!waiting_.empty() && running_.size() < max_running_count_) {
    Sequence& next = *waiting_.front();
    const std::uint32_t needed = PagesFor(next.token_count());
    const std::uint32_t more = PagesFor(next.final_token_count()) > needed ? 1 : 0;
    const std::uint32_t spare = running_.empty() ? 0 : PagesStillToGrow() + more;
    if (needed + spare > pool_.free_count()) return;
    next.pages() = pool_.Take(needed);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

bool PageLender::Grow(Sequence& sequence, std::uint32_t token_count) {
  const std::uint32_t wanted = PagesFor(token_count);
  FALLOW_CHECK(wanted <= page_count_);
  while (sequence.pages().size() < wanted) {
    if (pool_.free_count() > 0) {
      sequence.pages().push_back(pool_.Take(1).front());
      continue;
    }
    Sequence& youngest = *running_.back();
    Preempt(youngest);
    if (&youngest == &sequence) return false;
  }
  return true;
}

void PageLender::GiveBack(Sequence& sequence) {
  pool_.Return(sequence.pages());
  sequence.pages().clear();
}

// Only ever the youngest.
void PageLender::Preempt(Sequence& sequence) {
  GiveBack(sequence);
  sequence.Rewind();
  waiting_.push_front(std::move(running_.back()));
  running_.pop_back();
}

void PageLender::Retire(const Sequence& sequence) {
  RemoveIf([&](const Sequence& other) { return &other == &sequence; });
}

}  // namespace fallow::engine
