// Two ends of a byte stream in memory: what one writes the other reads, at the loop's next turn.
//
// Back-pressure is real: bytes wait in the writer's queue (pending_write_bytes) while the reader is
// paused.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "platform/loop.h"
#include "platform/stream.h"

namespace fallow {

class FakeStream : public ByteStream {
 public:
  // `loop` must outlive both ends.
  static std::pair<std::unique_ptr<FakeStream>, std::unique_ptr<FakeStream>> MakePair(Loop& loop);
  ~FakeStream() override;

  void SetHandler(StreamHandler handler) override;
  void Write(Bytes bytes) override;
  std::size_t pending_write_bytes() const override;
  void Shutdown() override;
  void PauseReading() override;
  void ResumeReading() override;
  std::string peer() const override { return "fake:1"; }

  // The connection breaks: both ends see kUnavailable, and what was on its way is lost.
  void Break();

 private:
  struct End;
  explicit FakeStream(std::shared_ptr<End> end) : end_(std::move(end)) {}

  // Shared with the calls that are posted to the loop, which may outlive the stream.
  std::shared_ptr<End> end_;
};

}  // namespace fallow
