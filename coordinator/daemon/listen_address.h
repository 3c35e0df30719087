// Where a coordinator listens, and by what names it is reached.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fallow {

struct ListenAddress {
  std::string address;     // numeric: "127.0.0.1", "::1", "0.0.0.0"
  std::uint16_t port = 0;  // 0: any that is free

  // "HOST:PORT" with a numeric host, "localhost" or nothing (every address); "[::1]:8443".
  static Result<ListenAddress> Parse(std::string_view text);
  bool is_everywhere() const { return address == "0.0.0.0" || address == "::"; }
  bool is_loopback() const { return address.starts_with("127.") || address == "::1"; }
};

// The names that go into the certificate: those given first, then this machine's.
std::vector<std::string> CertificateHosts(const ListenAddress& listen,
                                          const std::vector<std::string>& given,
                                          const std::string& host_name);
// "https://HOST:PORT" for links: the first name given, else one that works.
std::string PublicUrl(const ListenAddress& listen, const std::vector<std::string>& given,
                      const std::string& host_name, std::uint16_t port);

}  // namespace fallow
