// The links a coordinator hands out: where it is, a secret, and the pin of its authority
// (docs/PROTOCOL.md).
#pragma once

#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"

namespace fallow::cli {

// https://HOST:PORT/#key=sk-fallow-…&pin=HEX
struct SignInLink {
  std::string url;  // "https://HOST:PORT", no slash at the end
  std::string key;
  Digest pin;
  bool operator==(const SignInLink&) const = default;
};

// kInvalidArgument with what is wrong; never repeats the key.
Result<SignInLink> ParseSignInLink(std::string_view text);

// "https://HOST[:PORT]" without slashes or anything else behind it; kInvalidArgument if `text` is
// no such address.
Result<std::string> ParseCoordinatorUrl(std::string_view text);

// kInvalidArgument unless `key` can travel in an HTTP header: printable ASCII, no spaces, at most
// 512 bytes.
Status CheckKey(std::string_view key);

}  // namespace fallow::cli
