// How to reach a coordinator: its address, our key, the authority we trust.
//
// `fallow login` stores one in the user's configuration folder (0600); options and environment go
// before it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"

namespace fallow::cli {

struct Access {
  std::string url;  // "https://HOST:PORT"
  std::string key;
  std::optional<std::string> authority_pem;  // none: the system's authorities
  bool operator==(const Access&) const = default;
};

std::string AccessPath();
Result<std::optional<Access>> LoadAccess(const std::string& path);  // none if there is no such file
Status StoreAccess(const std::string& path, const Access& access);

// What the user said on the command line; empty: nothing.
struct AccessOptions {
  std::string url;
  std::string key;
  std::string authority_file;
};

// Options, then FALLOW_URL, FALLOW_API_KEY and FALLOW_CA, then what `login` stored. Stored key and
// authority count only for the stored address: a key is never sent to another one.
Result<Access> ResolveAccess(
    const AccessOptions& options,
    const std::function<std::optional<std::string>(const std::string&)>& environment,
    const std::optional<Access>& stored);

}  // namespace fallow::cli
