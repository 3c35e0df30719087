// A session socket's bytes, cut into frames and decoded both ways. The first byte is the size of
// the chunks fed. What decodes must encode to something that decodes to the same.
#include <algorithm>

#include "base/check.h"
#include "protocol/limits.h"
#include "protocol/session_messages.h"

namespace fallow {
namespace {

template <class Message>
void CheckRoundTrip(const Result<Message>& message, Result<Message> (*decode)(ByteView)) {
  if (!message) return;
  const Bytes frame = EncodeFrame(*message);
  FALLOW_CHECK(frame.size() <= kFrameHeaderBytes + kMaxSessionFrameBytes);
  FALLOW_CHECK(decode(ByteView(frame).subspan(kFrameHeaderBytes)) == message);
}

}  // namespace
}  // namespace fallow

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  if (size == 0) return 0;
  ByteView stream(data + 1, size - 1);
  const std::size_t chunk = std::size_t{data[0]} + 1;
  FrameReader reader(kMaxSessionFrameBytes);
  while (!stream.empty()) {
    const ByteView head = stream.first(std::min(chunk, stream.size()));
    stream = stream.subspan(head.size());
    reader.Feed(head);
    while (true) {
      const auto payload = reader.Next();
      if (!payload) return 0;
      if (!*payload) break;
      CheckRoundTrip(DecodeFromSession(**payload), &DecodeFromSession);
      CheckRoundTrip(DecodeToSession(**payload), &DecodeToSession);
    }
  }
  return 0;
}
