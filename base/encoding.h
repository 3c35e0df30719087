// Hexadecimal and Base64 (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fallow {

std::string ToHex(ByteView bytes);                       // lower case
std::optional<Bytes> FromHex(std::string_view text);     // both cases; none if malformed
std::string ToBase64(ByteView bytes);                    // padded
std::string ToBase64Url(ByteView bytes);                 // "-_" alphabet, not padded
std::optional<Bytes> FromBase64(std::string_view text);  // either alphabet, padding optional

}  // namespace fallow
