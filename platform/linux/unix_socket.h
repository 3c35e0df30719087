// What both ends of a Unix socket need of the system. For files of platform/linux alone.
#pragma once

#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace fallow {

// Closes its descriptor when destroyed.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int number() const { return number_; }
  int Release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Result<sockaddr_un> UnixAddressOf(const std::string& path);

// A connected socket that does not block. kUnavailable if nobody serves there; kResourceExhausted
// if the server's queue is full at the moment.
Result<Descriptor> ConnectUnixSocket(const std::string& path);

}  // namespace fallow
