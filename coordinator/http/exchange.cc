#include "coordinator/http/exchange.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "platform/stream.h"

namespace fallow::http {
namespace {

Bytes ToBytes(std::string_view text) {
  const ByteView view = AsBytes(text);
  return Bytes(view.begin(), view.end());
}

}  // namespace

Exchange::~Exchange() {
  if (ReplyChannel* channel = std::exchange(channel_, nullptr)) channel->OnAbandoned(head_sent());
}

void Exchange::Send(Response response) {
  if (channel_ == nullptr) return;
  const AfterReply after = channel_->DecideAfterReply(/*ends_with_connection=*/false);
  channel_->Write(ToBytes(encoder_.Whole(response, after)));
  Complete(/*kept_its_length=*/true);
}

void Exchange::Start(int status, Headers headers, std::optional<std::uint64_t> content_length) {
  if (channel_ == nullptr) return;
  const AfterReply after = channel_->DecideAfterReply(encoder_.EndsWithConnection(content_length));
  channel_->Write(ToBytes(encoder_.Head(status, headers, content_length, after)));
  if (encoder_.wants_head_only()) Complete(/*kept_its_length=*/true);
}

void Exchange::Write(ByteView bytes) {
  if (channel_ == nullptr || bytes.empty()) return;
  if (channel_->pending_write_bytes() + bytes.size() > kMaxPendingStreamedBytes) {
    channel_->OnOverflow();
    return;
  }
  channel_->Write(encoder_.Piece(bytes));
}

void Exchange::End() {
  if (channel_ == nullptr) return;
  const std::string last = encoder_.Last();
  if (!last.empty()) channel_->Write(ToBytes(last));
  Complete(encoder_.kept_its_length());
}

bool Exchange::slow() const {
  return channel_ != nullptr && channel_->pending_write_bytes() >= kStreamHighWaterBytes;
}

void Exchange::OnWritable(std::function<void()> fn) {
  if (channel_ != nullptr) on_writable_ = std::move(fn);
}

void Exchange::OnGone(std::function<void()> fn) {
  if (channel_ != nullptr) on_gone_ = std::move(fn);
}

void Exchange::CallOnWritable() {
  const auto self = shared_from_this();
  auto fn = std::exchange(on_writable_, nullptr);
  if (!fn) return;
  fn();
  if (channel_ != nullptr && !on_writable_) on_writable_ = std::move(fn);
}

std::function<void()> Exchange::Lose() {
  const auto self = shared_from_this();
  channel_ = nullptr;
  const auto writable = std::exchange(on_writable_, nullptr);
  return std::exchange(on_gone_, nullptr);
}

void Exchange::Complete(bool kept_its_length) {
  ReplyChannel* channel = std::exchange(channel_, nullptr);
  // These may hold the last references to us, and we may be running inside one of them.
  const auto writable = std::exchange(on_writable_, nullptr);
  const auto gone = std::exchange(on_gone_, nullptr);
  channel->OnComplete(kept_its_length);
}

}  // namespace fallow::http
