#include "platform/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "platform/os.h"

namespace fallow {
namespace {

class LinuxMappedFile : public MappedFile {
 public:
  LinuxMappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  ~LinuxMappedFile() override {
    if (address_ != nullptr) ::munmap(address_, size_);
  }
  LinuxMappedFile(const LinuxMappedFile&) = delete;
  LinuxMappedFile& operator=(const LinuxMappedFile&) = delete;

  ByteView bytes() const override { return {static_cast<const std::uint8_t*>(address_), size_}; }

 private:
  void* address_;
  std::size_t size_;
};

}  // namespace

Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) {
  // Not blocking: a named pipe must not hold us up.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::unexpected(os::SystemError("cannot open " + path, errno));
  struct stat facts {};
  void* address = nullptr;
  int error_number = 0;
  if (::fstat(file, &facts) != 0) {
    error_number = errno;
  } else if (S_ISREG(facts.st_mode) && facts.st_size > 0) {
    address =
        ::mmap(nullptr, static_cast<std::size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    if (address == MAP_FAILED) error_number = errno;
  }
  ::close(file);
  if (error_number != 0) {
    return std::unexpected(os::SystemError("cannot map " + path, error_number));
  }
  if (!S_ISREG(facts.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, path + " is not a regular file");
  }
  return std::make_unique<LinuxMappedFile>(address, static_cast<std::size_t>(facts.st_size));
}

}  // namespace fallow
