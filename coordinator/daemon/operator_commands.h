// What an operator does at the coordinator's machine: show the links again, make a key. A running
// coordinator is asked over its API with the first operator's key; without one, the store is opened
// directly.
//
// Blocking; for short-lived programs.
#pragma once

#include <string>

#include "coordinator/core/records.h"
#include "coordinator/daemon/data_folder.h"

namespace fallow {

struct LinksReply {
  std::string url;           // empty if no coordinator runs and none has yet
  std::string sign_in_link;  // empty if the first operator's key was revoked or its file removed
  std::string join_link;
  bool running = false;
};
Result<LinksReply> ShowLinks(const DataFolder& folder);

struct CreatedKey {
  std::string id, secret, sign_in_link;
};
Result<CreatedKey> CreateKey(const DataFolder& folder, const std::string& name, Role role);

}  // namespace fallow
