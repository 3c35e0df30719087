// A BodyIntake takes the body of one request after another: to the sink that wants it, else
// nowhere.
//
// A body that nobody wants is read to its end so that the client sees the reply, within limits.
// Threading: the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "coordinator/http/server.h"

namespace fallow::http {

// A body that nobody wants is read as far as this; beyond it the connection is cut.
inline constexpr std::uint64_t kMaxDroppedBodyBytes = 64 << 20;

class BodyIntake {
 public:
  enum class Verdict : std::uint8_t {
    kGoOn,
    kTooLong,          // refuse the request
    kNotWorthReading,  // the reply is complete, and its client goes on and on
  };

  explicit BodyIntake(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // A request's head has come. `content_length`: none if the body is chunked.
  Verdict Begin(std::optional<std::uint64_t> content_length, bool awaits_continue);
  // Null: the body is dropped.
  void SetSink(std::unique_ptr<BodySink> sink) { sink_ = std::move(sink); }
  // The client has been told to send its body.
  void Continued() { awaits_continue_ = false; }
  // The reply is complete: the sink gets no more, but is not destroyed in this call, which may be
  // its own.
  void Answered() { answered_ = true; }

  Verdict Take(std::string_view piece);
  void End();
  // Lets go of the sink, whose destructor may reply.
  void Drop();

  // Whether the client waits for 100 Continue before it sends its body.
  bool awaits_continue() const { return awaits_continue_; }
  // Whether the client may be expected to send the rest of the body, and that not for too long.
  bool is_rest_worth_reading() const;
  std::uint64_t taken_bytes() const { return taken_bytes_; }

 private:
  const std::uint64_t max_bytes_;
  std::unique_ptr<BodySink> sink_;
  std::optional<std::uint64_t> content_length_;
  bool awaits_continue_ = false;
  bool answered_ = false;
  bool dropped_ = false;
  std::uint64_t taken_bytes_ = 0;
  std::uint64_t dropped_bytes_ = 0;
};

}  // namespace fallow::http
