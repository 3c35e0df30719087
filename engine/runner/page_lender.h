// A PageLender decides which sequences run: it lends them the caches' pages, as they grow.
//
// A sequence gets pages for what it has when it begins, and more when it needs them. When none are
// left the youngest gives all of its own back and waits to be computed again: bits do not depend on
// that. The oldest always goes on, so everything ends.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>

#include "engine/runner/page_pool.h"
#include "engine/runner/sequence.h"

namespace fallow::engine {

class PageLender {
 public:
  PageLender(std::uint32_t page_count, std::uint32_t max_running_count)
      : pool_(page_count), page_count_(page_count), max_running_count_(max_running_count) {}

  // In order of arrival.
  std::list<std::unique_ptr<Sequence>>& running() { return running_; }
  const std::list<std::unique_ptr<Sequence>>& running() const { return running_; }
  const std::deque<std::unique_ptr<Sequence>>& waiting() const { return waiting_; }
  std::uint32_t page_count() const { return page_count_; }

  void Add(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }
  // Lets those in that have room, in order of arrival: a large one is not overtaken for ever.
  void Admit();
  // Makes room for `token_count` tokens of a running sequence. False when it is itself the youngest
  // and had to give way; it then waits.
  bool Grow(Sequence& sequence, std::uint32_t token_count);
  // Takes a running sequence out.
  void Retire(const Sequence& sequence);
  // Takes out all that `is_meant` says of, running or not.
  template <class Predicate>
  void RemoveIf(Predicate is_meant);

 private:
  std::uint32_t PagesStillToGrow() const;
  void GiveBack(Sequence& sequence);
  void Preempt(Sequence& sequence);

  PagePool pool_;
  std::uint32_t page_count_;
  std::uint32_t max_running_count_;
  std::list<std::unique_ptr<Sequence>> running_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
};

template <class Predicate>
void PageLender::RemoveIf(Predicate is_meant) {
  std::erase_if(waiting_, [&](const auto& sequence) { return is_meant(*sequence); });
  running_.remove_if([&](const auto& sequence) {
    if (!is_meant(*sequence)) return false;
    GiveBack(*sequence);
    return true;
  });
}

}  // namespace fallow::engine
