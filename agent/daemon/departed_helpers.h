// What is left of session helpers that have gone, or that found no place: a while in which their
// logins count as used.
//
// Bounded: at most one memory a cause and user, and no more than a limit in all. Plain.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "platform/presence.h"

namespace fallow {

struct DepartedHelper {
  enum class Cause : std::uint8_t { kVanished, kRefused, kMisbehaved };
  Cause cause = Cause::kVanished;
  std::int64_t user_id = 0;
  std::string user;
  std::string session;
  std::string why;
  SteadyTime until;
};

class DepartedHelpers {
 public:
  explicit DepartedHelpers(std::size_t max) : max_(max) {}

  // Takes the place of the one before of the same cause and user, and lasts as long at least.
  // Beyond the limit the one that ends first makes room; the others count as use all the same.
  void Add(DepartedHelper one);
  bool Misbehaved(std::int64_t user_id, SteadyTime now) const;
  // The login is watched again: that its helper vanished does not count any more.
  void ForgetVanished(std::int64_t user_id, const std::string& session);
  // Forgets those whose time is over; whether there was one.
  bool Expire(SteadyTime now);
  std::optional<SteadyTime> next_end() const;
  void AddReadings(SteadyTime now, std::vector<PresenceReading>& readings) const;

 private:
  const std::size_t max_;
  std::vector<DepartedHelper> all_;
};

}  // namespace fallow
