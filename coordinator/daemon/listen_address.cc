#include "coordinator/daemon/listen_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fallow {
namespace {

std::unexpected<Error> Bad(std::string_view text) {
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format(
          "--listen {}: give ADDRESS:PORT, as in 127.0.0.1:8443, 0.0.0.0:8443 or [::1]:8443",
          text));
}

}  // namespace

Result<ListenAddress> ListenAddress::Parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Bad(text);
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return Bad(text);
  }
  ListenAddress listen{.address = std::string(host)};
  if (host.empty()) listen.address = "0.0.0.0";
  if (host == "localhost") listen.address = "127.0.0.1";
  const bool numeric = std::ranges::all_of(listen.address, [](unsigned char c) {
    return std::isxdigit(c) || c == '.' || c == ':' || c == '%';
  });
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), listen.port);
  if (!numeric || port.empty() || error != std::errc() || end != port.data() + port.size())
    return Bad(text);
  return listen;
}

std::vector<std::string> CertificateHosts(const ListenAddress& listen,
                                          const std::vector<std::string>& given,
                                          const std::string& host_name) {
  std::vector<std::string> hosts = given;
  const auto add = [&](const std::string& host) {
    if (!host.empty() && std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(host);
  };
  add("localhost");
  add("127.0.0.1");
  add("::1");
  if (!listen.is_everywhere()) add(listen.address);
  if (!listen.is_loopback()) add(host_name);
  return hosts;
}

std::string PublicUrl(const ListenAddress& listen, const std::vector<std::string>& given,
                      const std::string& host_name, std::uint16_t port) {
  std::string host = listen.address;
  if (listen.is_everywhere()) host = host_name.empty() ? "localhost" : host_name;
  if (!given.empty()) host = given.front();
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return fmt::format("https://{}:{}", host, port);
}

}  // namespace fallow
