// Frames on a byte stream: u32 little-endian payload length, then the payload.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

inline constexpr std::size_t kFrameHeaderBytes = 4;

// Cuts a byte stream into frames. Fails for good on a length above the limit.
class FrameReader {
 public:
  explicit FrameReader(std::size_t max_payload_bytes);

  void Feed(ByteView bytes);
  // The next whole payload, none if more bytes are needed.
  Result<std::optional<Bytes>> Next();

 private:
  std::size_t max_payload_bytes_;
  Bytes buffer_;
  std::size_t consumed_ = 0;
};

}  // namespace fallow
