// Whether what one session helper says can be true: it is held against the clock and against what
// the helper said before.
//
// It finds helpers that are broken or careless with the truth. One that claims from its first word
// that nobody is there cannot be found out by its words: the readings of others are for that.
// Plain; one a connection.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/session_messages.h"

namespace fallow {

// How far honest sources may be off: compositors tell idleness in steps.
inline constexpr std::chrono::milliseconds kSessionClockSlack{2'000};

class SessionTrust {
 public:
  // What is wrong with `report`, received at `now`; none if it can be true. Either way, it is what
  // later ones are held against: a helper whose source was replaced is soon believed again.
  std::optional<std::string> FindContradiction(const SessionReport& report, SteadyTime now);

 private:
  // A source's last input, by what it said of its idle time.
  struct Claim {
    std::string source;
    SteadyTime last_input;
  };
  std::optional<std::string> CheckTimes(const SessionReport& report, SteadyTime now) const;
  std::optional<std::string> CheckClaims(const std::vector<Claim>& claims) const;

  bool heard_ = false;
  std::uint64_t sequence_ = 0;  // of the last report, as is the rest
  SteadyTime read_at_;
  std::vector<Claim> claims_;
};

}  // namespace fallow
