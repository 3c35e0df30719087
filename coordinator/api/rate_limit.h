// A RateLimit lets each name through a few times at once and then at a steady pace (a token
// bucket).
//
// Invariant: holds at most kMaxNames names; beyond that the one longest at rest is forgotten.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

#include "base/clock.h"

namespace fallow::api {

class RateLimit {
 public:
  RateLimit(double burst, std::chrono::milliseconds per_token)
      : burst_(burst), per_token_(per_token) {}

  bool Allow(const std::string& name, SteadyTime now) {
    auto [found, is_new] = buckets_.try_emplace(name, Bucket{burst_, now});
    Bucket& bucket = found->second;
    bucket.tokens =
        std::min(burst_, bucket.tokens + std::chrono::duration<double>(now - bucket.at) /
                                             std::chrono::duration<double>(per_token_));
    bucket.at = now;
    const bool allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    if (is_new && buckets_.size() > kMaxNames) ForgetOldest(name);
    return allowed;
  }

 private:
  static constexpr std::size_t kMaxNames = 4096;
  struct Bucket {
    double tokens = 0;
    SteadyTime at;
  };
  void ForgetOldest(const std::string& but) {
    auto oldest = buckets_.end();
    for (auto it = buckets_.begin(); it != buckets_.end(); ++it)
      if (it->first != but && (oldest == buckets_.end() || it->second.at < oldest->second.at))
        oldest = it;
    if (oldest != buckets_.end()) buckets_.erase(oldest);
  }

  const double burst_;
  const std::chrono::milliseconds per_token_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace fallow::api
