// What a login's session helper and the agent's daemon say to each other over a Unix socket.
//
// A message is a frame (frame_reader.h) with a protobuf payload (session.proto). The helper says
// SessionHello, then a SessionReport every 5 s and whenever something must be known at once; the
// daemon says WatchInput whenever its wish changes. The daemon does not trust the helper. Times are
// of the machine's steady clock, which both share. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "protocol/frame_reader.h"

namespace fallow {

inline constexpr std::uint32_t kSessionProtocolVersion = 1;

// Helper to daemon.
// -----------------------------------------------------------------------------------------------

// First message. Texts are one line and may be empty where the login has no such thing.
struct SessionHello {
  std::uint32_t protocol_version = kSessionProtocolVersion;
  std::string session;       // logind's id: "2"
  std::string session_type;  // "wayland", "x11", "tty"
  std::string desktop;       // "GNOME"
  bool operator==(const SessionHello&) const = default;
};

// What one presence source of the login knows.
struct PresenceReport {
  // kDistrusted: the helper itself does not take the source's word.
  enum class Kind : std::uint8_t { kInput, kGamepad, kRemote, kDistrusted };
  std::string source;  // "x11 :0"; one line, not empty
  bool known = false;
  std::chrono::milliseconds idle_for{0};  // 0 unless known
  std::string detail;                     // one line
  Kind kind = Kind::kInput;
  bool operator==(const PresenceReport&) const = default;
};

// What one source of a session signal knows.
struct SignalReport {
  enum class Kind : std::uint8_t { kFullScreen, kGameMode, kIdleInhibitor };
  std::string source;  // "gamemode"; one line, not empty
  bool known = false;
  bool active = false;  // false unless known
  std::string detail;   // one line
  Kind kind = Kind::kFullScreen;
  bool operator==(const SignalReport&) const = default;
};

struct SessionReport {
  std::uint64_t sequence = 0;  // grows with each report of a connection
  SteadyTime read_at;          // when what it tells was so
  std::vector<PresenceReport> presence;
  std::vector<SignalReport> signals;
  // Set if it is told because of input: when the helper saw that.
  std::optional<SteadyTime> seen_input_at;
  bool operator==(const SessionReport&) const = default;
};

// The login ends: from now on nobody is there.
struct SessionGoodbye {
  bool operator==(const SessionGoodbye&) const = default;
};

// Daemon to helper.
// -----------------------------------------------------------------------------------------------

// Closely: the machine works, so the next input is to be told at once. At first it is not.
struct WatchInput {
  bool closely = false;
  bool operator==(const WatchInput&) const = default;
};

using FromSession = std::variant<SessionHello, SessionReport, SessionGoodbye>;
using ToSession = std::variant<WatchInput>;

Bytes EncodeFrame(const FromSession&);  // header and payload
Bytes EncodeFrame(const ToSession&);
Result<FromSession> DecodeFromSession(ByteView payload);
Result<ToSession> DecodeToSession(ByteView payload);

// `text` as a report may carry it: valid UTF-8 on one line, cut to the limit.
std::string ReportableText(std::string_view text);

}  // namespace fallow
