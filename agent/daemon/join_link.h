// The link an operator gives to a device: `https://HOST:PORT/#join=TOKEN&pin=HEX`
// (docs/PROTOCOL.md).
#pragma once

#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"

namespace fallow {

struct JoinLink {
  std::string coordinator_url;  // "https://HOST:PORT", no slash at the end
  std::string token;
  Digest pin;  // of the authority certificate
  bool operator==(const JoinLink&) const = default;
};

// kInvalidArgument says what of the link is wrong.
Result<JoinLink> ParseJoinLink(std::string_view link);

}  // namespace fallow
