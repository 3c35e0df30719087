#include "platform/x11_clients.h"

#include <fmt/format.h>

#include <fstream>
#include <string_view>

namespace fallow {
namespace {

// Of a connection, in /proc/net/unix; a socket that listens says 01.
constexpr std::string_view kConnected = " 0001 03 ";

}  // namespace

bool HasX11Clients(const std::string& display) {
  const std::string number = display.substr(0, display.find('.'));
  if (number.size() < 2 || number[0] != ':') return false;
  // A server's ends of its connections have its address: a file's name, or that name after an '@'.
  const std::string address = fmt::format("/tmp/.X11-unix/X{}", number.substr(1));
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    if (!line.ends_with(address) || line.find(kConnected) == std::string::npos) continue;
    const char before = line[line.size() - address.size() - 1];
    if (before == ' ' || before == '@') return true;
  }
  return false;
}

}  // namespace fallow
