// A protobuf message as a frame. Private to protocol/.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "protocol/frame_reader.h"

namespace fallow::wire {

// Header and payload.
template <class Message>
Bytes Frame(const Message& message) {
  const std::size_t length = message.ByteSizeLong();
  FALLOW_CHECK(length <= UINT32_MAX);
  Bytes frame(kFrameHeaderBytes + length);
  for (std::size_t i = 0; i < kFrameHeaderBytes; ++i) {
    frame[i] = static_cast<std::uint8_t>(length >> (8 * i));
  }
  message.SerializeWithCachedSizesToArray(frame.data() + kFrameHeaderBytes);
  return frame;
}

}  // namespace fallow::wire
