// Whether programs use an X11 server, told without connecting to it: a connection would start
// XWayland where the compositor waits for the first one.
#pragma once

#include <string>

namespace fallow {

// Whether anybody is connected to the local server of `display` (":0"). False too where that cannot
// be told.
bool HasX11Clients(const std::string& display);

}  // namespace fallow
