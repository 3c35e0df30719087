// Refusals collects every reason why a model's file is refused, up to a limit.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/model/limits.h"

namespace fallow::engine {

class Refusals {
 public:
  void Add(Error error) {
    if (errors_.size() < kMaxRefusals) errors_.push_back(std::move(error));
  }
  // Contradicts itself, or is missing.
  void AddWrong(std::string message) { Add({ErrorCode::kInvalidArgument, std::move(message)}); }
  // May be right, but is not computed here.
  void AddNotComputed(std::string message) { Add({ErrorCode::kUnimplemented, std::move(message)}); }

  bool empty() const { return errors_.empty(); }
  std::size_t count() const { return errors_.size(); }
  std::vector<Error> Take() { return std::move(errors_); }

 private:
  std::vector<Error> errors_;
};

}  // namespace fallow::engine
