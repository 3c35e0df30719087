// UTF-8 (RFC 3629).
#pragma once

#include <string_view>

namespace fallow {

bool IsUtf8(std::string_view text);

}  // namespace fallow
