// A policy log's files in memory, whose disk may be full.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/daemon/policy/policy_log.h"

namespace fallow {

class FakePolicyLogFiles : public PolicyLogFiles {
 public:
  Result<std::string> ReadOld() override { return old; }
  Result<std::string> ReadCurrent() override { return current; }
  Result<Current> Examine() override {
    return Current{.bytes = current.size(),
                   .ends_whole = current.empty() || current.back() == '\n'};
  }
  Status Append(std::string_view bytes) override {
    if (room_bytes < bytes.size()) {
      current += bytes.substr(0, room_bytes);
      return Fail(ErrorCode::kResourceExhausted, "the disk is full");
    }
    current += bytes;
    most_bytes = std::max(most_bytes, current.size());
    return {};
  }
  Status PutAside() override {
    old = std::move(current);
    current.clear();
    ++times_put_aside;
    return {};
  }
  std::string old, current;
  std::size_t room_bytes = SIZE_MAX, most_bytes = 0;
  int times_put_aside = 0;
};

}  // namespace fallow
