#include "agent/daemon/session_trust.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fallow {
namespace {

double Seconds(SteadyTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::optional<std::string> SessionTrust::FindContradiction(const SessionReport& report,
                                                           SteadyTime now) {
  std::vector<Claim> claims;
  for (const PresenceReport& reading : report.presence) {
    if (!reading.known) continue;
    claims.push_back({.source = reading.source, .last_input = report.read_at - reading.idle_for});
  }
  auto contradiction = CheckTimes(report, now);
  if (!contradiction) {
    contradiction = CheckClaims(claims);
    // Believed claims never go back, so that a source cannot creep by the slack at each report.
    for (Claim& claim : claims) {
      for (const Claim& last : claims_) {
        if (contradiction || last.source != claim.source) continue;
        claim.last_input = std::max(claim.last_input, last.last_input);
      }
    }
  }
  heard_ = true;
  sequence_ = report.sequence;
  read_at_ = std::min(report.read_at, now);
  claims_ = std::move(claims);
  return contradiction;
}

std::optional<std::string> SessionTrust::CheckTimes(const SessionReport& report,
                                                    SteadyTime now) const {
  if (report.read_at > now) {
    return fmt::format("reported of a moment {:.1f} s in the future",
                       Seconds(report.read_at - now));
  }
  if (report.seen_input_at && *report.seen_input_at > now) {
    return fmt::format("reported input {:.1f} s in the future",
                       Seconds(*report.seen_input_at - now));
  }
  if (!heard_) return std::nullopt;
  if (report.sequence <= sequence_) {
    return fmt::format("sent report {} after report {}", report.sequence, sequence_);
  }
  if (report.read_at < read_at_) {
    return fmt::format("reported of a moment {:.1f} s before its last report",
                       Seconds(read_at_ - report.read_at));
  }
  if (report.seen_input_at && *report.seen_input_at < read_at_ - kSessionClockSlack) {
    return fmt::format("reported input {:.1f} s before its last report, which did not tell of it",
                       Seconds(read_at_ - *report.seen_input_at));
  }
  return std::nullopt;
}

std::optional<std::string> SessionTrust::CheckClaims(const std::vector<Claim>& claims) const {
  for (const Claim& claim : claims) {
    for (const Claim& last : claims_) {
      if (claim.source != last.source) continue;
      if (claim.last_input >= last.last_input - kSessionClockSlack) continue;
      return fmt::format("says that {} saw its last input {:.1f} s before the one it told of",
                         claim.source, Seconds(last.last_input - claim.last_input));
    }
  }
  return std::nullopt;
}

}  // namespace fallow
