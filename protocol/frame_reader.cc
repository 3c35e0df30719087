#include "protocol/frame_reader.h"

#include <fmt/format.h>

namespace fallow {
namespace {

std::uint32_t PayloadLength(const std::uint8_t* header) {
  return header[0] | header[1] << 8 | header[2] << 16 | static_cast<std::uint32_t>(header[3]) << 24;
}

}  // namespace

FrameReader::FrameReader(std::size_t max_payload_bytes) : max_payload_bytes_(max_payload_bytes) {}

void FrameReader::Feed(ByteView bytes) {
  if (buffer_.size() - consumed_ >= kFrameHeaderBytes &&
      PayloadLength(buffer_.data() + consumed_) > max_payload_bytes_) {
    return;  // failed for good: keep nothing more
  }
  // Moving the rest to the front only once half is consumed keeps the copying linear.
  if (consumed_ > 0 && consumed_ >= buffer_.size() - consumed_) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<Bytes>> FrameReader::Next() {
  const std::size_t available = buffer_.size() - consumed_;
  if (available < kFrameHeaderBytes) return std::nullopt;
  const std::uint8_t* header = buffer_.data() + consumed_;
  const std::uint32_t length = PayloadLength(header);
  if (length > max_payload_bytes_) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("frame: payload of {} bytes; at most {}", length, max_payload_bytes_));
  }
  if (available - kFrameHeaderBytes < length) return std::nullopt;
  Bytes payload(header + kFrameHeaderBytes, header + kFrameHeaderBytes + length);
  consumed_ += kFrameHeaderBytes + length;
  return payload;
}

}  // namespace fallow
