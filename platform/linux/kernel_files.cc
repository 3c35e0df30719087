#include "platform/linux/kernel_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <memory>
#include <utility>

#include "platform/os.h"

namespace fallow {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

struct FolderCloser {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// From the start; fewer than `max_bytes` only at the end. Kernel files give a read up to a page of
// what it asks for, so that a short one needs no second read to find its end. -1, with errno, on
// failure.
ssize_t ReadFromStart(int descriptor, std::string& text, std::size_t max_bytes) {
  constexpr std::size_t kPieceBytes = 4096;
  const bool is_short = max_bytes <= kPieceBytes;
  text.clear();
  while (text.size() < max_bytes) {
    const std::size_t before = text.size();
    text.resize(std::min(before + kPieceBytes, max_bytes));
    const ssize_t count =
        ::pread(descriptor, text.data() + before, text.size() - before, static_cast<off_t>(before));
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0 || is_short) break;
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return static_cast<ssize_t>(text.size());
}

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char letter) { return letter >= '0' && letter <= '9'; });
}

// "card10" -> ("card", "10").
std::pair<std::string_view, std::string_view> SplitNumber(std::string_view name) {
  const auto last = name.find_last_not_of("0123456789");
  const std::size_t split = last == std::string_view::npos ? 0 : last + 1;
  return {name.substr(0, split), name.substr(split)};
}

bool ComesBefore(const std::string& a, const std::string& b) {
  const auto [a_word, a_number] = SplitNumber(a);
  const auto [b_word, b_number] = SplitNumber(b);
  if (a_word != b_word) return a_word < b_word;
  if (a_number.size() != b_number.size()) return a_number.size() < b_number.size();
  return a_number < b_number;
}

}  // namespace

Result<KernelFile> KernelFile::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return std::unexpected(os::SystemError("cannot open " + path, errno));
  return KernelFile(path, descriptor);
}

KernelFile::KernelFile(KernelFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

KernelFile& KernelFile::operator=(KernelFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

KernelFile::~KernelFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::string> KernelFile::Read() const {
  std::string text;
  if (ReadFromStart(descriptor_, text, kMaxKernelFileBytes) < 0) {
    return std::unexpected(os::SystemError("cannot read " + path_, errno));
  }
  return text;
}

std::optional<std::string> ReadKernelText(const std::string& path, std::size_t max_bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return std::nullopt;
  std::string text;
  const ssize_t count = ReadFromStart(descriptor, text, max_bytes);
  ::close(descriptor);
  if (count < 0) return std::nullopt;
  return text;
}

std::optional<std::int64_t> ReadKernelNumber(const std::string& path) {
  constexpr std::size_t kLongestNumber = 64;
  const auto text = ReadKernelText(path, kLongestNumber);
  return text ? ParseKernelNumber(*text) : std::nullopt;
}

Status WriteKernelFile(const std::string& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(os::SystemError("cannot open " + path, errno));
  const ssize_t count = ::write(descriptor, text.data(), text.size());
  const int error = count < 0 ? errno : EIO;
  ::close(descriptor);
  if (count == static_cast<ssize_t>(text.size())) return {};
  return std::unexpected(os::SystemError("cannot write " + path, error));
}

std::optional<std::int64_t> ParseKernelNumber(std::string_view text) {
  text = Trimmed(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> LinkTarget(const std::string& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t count = ::readlink(path.c_str(), target.data(), target.size());
  if (count < 0) return std::nullopt;
  return std::string(target.data(), static_cast<std::size_t>(count));
}

Result<std::vector<std::string>> ListNames(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, FolderCloser> listing(::opendir(folder.c_str()));
  if (listing == nullptr) return std::unexpected(os::SystemError("cannot list " + folder, errno));
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    names.emplace_back(name);
    if (names.size() == kMaxFolderEntries) break;
  }
  return names;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  auto names = ListNames(folder).value_or(std::vector<std::string>());
  std::ranges::sort(names, ComesBefore);
  return names;
}

std::vector<std::int64_t> ProcessIdsIn(const std::string& proc) {
  std::vector<std::int64_t> ids;
  const std::unique_ptr<DIR, FolderCloser> listing(::opendir(proc.c_str()));
  if (listing == nullptr) return ids;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (!IsNumber(entry->d_name)) continue;
    if (const auto id = ParseKernelNumber(entry->d_name)) ids.push_back(*id);
    if (ids.size() == kMaxFolderEntries) break;
  }
  std::ranges::sort(ids);
  return ids;
}

std::string_view Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view LastPart(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace fallow
