// A connected byte stream: a TCP or TLS connection, one end of a pipe.
//
// Threading: the loop's thread. Callbacks are never called from inside a call to the stream, nor
// after its destruction; a callback may destroy the stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

// A writer that sees this much pending stops until on_writable.
inline constexpr std::size_t kStreamHighWaterBytes = 256 << 10;

struct StreamHandler {
  std::function<void(ByteView)> on_data;
  // Once, after the last data: clean end of the peer's data, or an error. Nothing else is called
  // afterwards.
  std::function<void(Status)> on_end;
  // pending_write_bytes() fell below half of kStreamHighWaterBytes after it had reached that mark.
  std::function<void()> on_writable;
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;  // closes at once; unsent bytes are lost

  virtual void SetHandler(StreamHandler handler) = 0;   // before the first callback; starts reading
  virtual void Write(Bytes bytes) = 0;                  // queued; never blocks
  virtual std::size_t pending_write_bytes() const = 0;  // not yet handed to the system
  virtual void Shutdown() = 0;                          // end of our data once all is sent
  virtual void PauseReading() = 0;                      // back-pressure: no on_data until resumed
  virtual void ResumeReading() = 0;
  virtual std::string peer() const = 0;  // "127.0.0.1:50412", for logs
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops accepting
  virtual std::uint16_t port() const = 0;
};

}  // namespace fallow
