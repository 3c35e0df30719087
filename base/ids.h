// Typed identifiers. An id is an opaque string with its kind's prefix; two kinds never compare or
// convert.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace fallow {

template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}
  bool empty() const { return value.empty(); }
  auto operator<=>(const Id&) const = default;
};

using AccountId = Id<struct AccountTag>;  // "acct_…": whose files and jobs these are
using KeyId = Id<struct KeyTag>;          // "key_…": an API key's public name
using FileId = Id<struct FileTag>;        // "file-…": an uploaded or produced file
using JobId = Id<struct JobTag>;          // "batch_…": what a user submits
using ModelId = Id<struct ModelTag>;      // the name requests use: "field-normalizer"
using DeviceId = Id<struct DeviceTag>;    // "dev_…": a machine with an agent
using LeaseId = Id<struct LeaseTag>;      // "lease_…"
using AttemptId =
    Id<struct AttemptTag>;  // "att_…": one execution of a request under a lease; made by the agent

}  // namespace fallow

template <class Tag>
struct std::hash<fallow::Id<Tag>> {
  std::size_t operator()(const fallow::Id<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.value);
  }
};
