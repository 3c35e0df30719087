#include "platform/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "platform/linux/owned_descriptor.h"

namespace fallow {
namespace {

constexpr std::chrono::milliseconds kNextTry{10};

class DescriptorLock : public FolderLock {
 public:
  explicit DescriptorLock(OwnedDescriptor folder) : folder_(std::move(folder)) {}

 private:
  OwnedDescriptor folder_;
};

}  // namespace

std::unique_ptr<FolderLock> LockFolder(const std::string& folder,
                                       std::chrono::milliseconds patience) {
  OwnedDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return nullptr;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(opened.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= end) return nullptr;
    std::this_thread::sleep_for(kNextTry);
  }
  return std::make_unique<DescriptorLock>(std::move(opened));
}

}  // namespace fallow
