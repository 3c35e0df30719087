#include "platform/fake/fake_stream.h"

#include <optional>
#include <utility>

namespace fallow {

// One end. `incoming` is what the peer wrote and this end has not read: the peer's pending bytes.
struct FakeStream::End : std::enable_shared_from_this<End> {
  explicit End(Loop& the_loop) : loop(the_loop) {}

  Loop& loop;
  std::weak_ptr<End> other;
  std::shared_ptr<StreamHandler> handler;
  std::deque<Bytes> incoming;
  std::size_t incoming_bytes = 0;
  std::optional<Status> incoming_end;  // after the last byte
  bool paused = false;
  bool open = true;  // the stream object lives
  bool end_delivered = false;
  bool shut_down = false;  // we promised to write no more
  bool reached_high_water = false;

  void Wake() {
    loop.Post([self = shared_from_this()] { self->Deliver(); });
  }

  void Deliver() {
    if (!open || paused || handler == nullptr || end_delivered) return;
    if (!incoming.empty()) {
      const Bytes bytes = std::move(incoming.front());
      incoming.pop_front();
      incoming_bytes -= bytes.size();
      if (const auto writer = other.lock()) writer->OnDrained(incoming_bytes);
      const auto current = handler;
      if (current->on_data) current->on_data(bytes);
      Wake();
    } else if (incoming_end) {
      end_delivered = true;
      const auto current = handler;
      if (current->on_end) current->on_end(*incoming_end);
    }
  }

  void OnDrained(std::size_t pending) {
    if (!reached_high_water || pending >= kStreamHighWaterBytes / 2) return;
    reached_high_water = false;
    loop.Post([self = shared_from_this()] {
      const auto current = self->handler;
      if (self->open && !self->end_delivered && current && current->on_writable) {
        current->on_writable();
      }
    });
  }

  void EndWith(const Status& status) {
    if (!incoming_end) incoming_end = status;
    Wake();
  }
};

std::pair<std::unique_ptr<FakeStream>, std::unique_ptr<FakeStream>> FakeStream::MakePair(
    Loop& loop) {
  auto left = std::make_shared<End>(loop);
  auto right = std::make_shared<End>(loop);
  left->other = right;
  right->other = left;
  return {std::unique_ptr<FakeStream>(new FakeStream(left)),
          std::unique_ptr<FakeStream>(new FakeStream(right))};
}

FakeStream::~FakeStream() {
  end_->open = false;
  const auto other = end_->other.lock();
  if (other == nullptr || other->incoming_end) return;
  other->EndWith(Fail(ErrorCode::kUnavailable, "the peer closed the connection"));
}

void FakeStream::SetHandler(StreamHandler handler) {
  end_->handler = std::make_shared<StreamHandler>(std::move(handler));
  end_->Wake();
}

void FakeStream::Write(Bytes bytes) {
  const auto other = end_->other.lock();
  if (bytes.empty() || end_->shut_down || other == nullptr || !other->open) return;
  other->incoming_bytes += bytes.size();
  other->incoming.push_back(std::move(bytes));
  if (other->incoming_bytes >= kStreamHighWaterBytes) end_->reached_high_water = true;
  other->Wake();
}

std::size_t FakeStream::pending_write_bytes() const {
  const auto other = end_->other.lock();
  return other == nullptr ? 0 : other->incoming_bytes;
}

void FakeStream::Shutdown() {
  end_->shut_down = true;
  if (const auto other = end_->other.lock()) other->EndWith(Status());
}

void FakeStream::PauseReading() {
  end_->paused = true;
}

void FakeStream::ResumeReading() {
  end_->paused = false;
  end_->Wake();
}

void FakeStream::Break() {
  for (const auto& end : {end_, end_->other.lock()}) {
    if (end == nullptr) continue;
    end->incoming.clear();
    end->incoming_bytes = 0;
    end->incoming_end.reset();
    end->EndWith(Fail(ErrorCode::kUnavailable, "the connection broke"));
  }
}

}  // namespace fallow
