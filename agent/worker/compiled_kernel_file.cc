#include "agent/worker/compiled_kernel_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/log.h"
#include "platform/paths.h"

namespace fallow {
namespace {

// A record: this, the kernel's length, its key, the digest of those and the kernel, the kernel.
constexpr std::array<std::uint8_t, 4> kMark = {'F', 'K', '0', '1'};
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kDigestBytes = sizeof(Digest::bytes);
constexpr std::size_t kHeadBytes = kMark.size() + kLengthBytes + 2 * kDigestBytes;
constexpr std::size_t kHalfFullBytes = kMaxKernelFileBytes / 2;
constexpr std::size_t kRemadeBytes = kHalfFullBytes / 2;

Digest Checksum(const Digest& key, ByteView compiled) {
  Sha256 hash;
  hash.Update(key.bytes);
  hash.Update(compiled);
  return hash.Finish();
}

struct Record {
  Digest key;
  ByteView compiled;
};

Bytes Encode(const Record& record) {
  Bytes bytes(kMark.begin(), kMark.end());
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    bytes.push_back(static_cast<std::uint8_t>(record.compiled.size() >> (8 * i)));
  const Digest checksum = Checksum(record.key, record.compiled);
  for (const ByteView part :
       {ByteView(record.key.bytes), ByteView(checksum.bytes), record.compiled})
    bytes.insert(bytes.end(), part.begin(), part.end());
  return bytes;
}

// The record that `bytes` begin with, if it is whole.
std::optional<Record> Decode(ByteView bytes) {
  if (bytes.size() < kHeadBytes || !std::ranges::equal(bytes.first(kMark.size()), kMark)) return {};
  std::size_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length |= std::size_t{bytes[kMark.size() + i]} << (8 * i);
  if (length > kMaxKernelBytes || length > bytes.size() - kHeadBytes) return {};
  Record record{.compiled = bytes.subspan(kHeadBytes, length)};
  Digest checksum;
  const std::uint8_t* const digests = bytes.data() + kMark.size() + kLengthBytes;
  std::memcpy(record.key.bytes.data(), digests, kDigestBytes);
  std::memcpy(checksum.bytes.data(), digests + kDigestBytes, kDigestBytes);
  if (checksum != Checksum(record.key, record.compiled)) return {};
  return record;
}

// Nothing where there is no file, or one that is none of ours.
Result<Bytes> ReadWhole(const std::string& path) {
  auto file = OpenInputFile(path);
  if (!file && file.error().code == ErrorCode::kNotFound) return Bytes{};
  if (!file) return std::unexpected(std::move(file).error());
  if ((*file)->size_bytes() > kMaxKernelFileBytes) return Bytes(1);
  Bytes bytes((*file)->size_bytes());
  FALLOW_ASSIGN_OR_RETURN(const std::size_t count, (*file)->ReadAt(0, bytes));
  bytes.resize(count);
  return bytes;
}

// The latest of `records` that go into a file that is made anew.
Bytes Remake(std::vector<Record> records) {
  std::size_t bytes = 0;
  const auto fits = [&](const Record& record) {
    bytes += kHeadBytes + record.compiled.size();
    return bytes <= kRemadeBytes;
  };
  std::ranges::reverse(records);
  records.erase(std::ranges::find_if_not(records, fits), records.end());
  std::ranges::reverse(records);
  Bytes content;
  for (const Record& record : records) {
    const Bytes encoded = Encode(record);
    content.insert(content.end(), encoded.begin(), encoded.end());
  }
  return content;
}

}  // namespace

Result<std::unique_ptr<CompiledKernelFile>> CompiledKernelFile::Open(const std::string& path) {
  FALLOW_RETURN_IF_ERROR(MakeDirectories(std::filesystem::path(path).parent_path().string()));
  FALLOW_ASSIGN_OR_RETURN(Bytes content, ReadWhole(path));
  std::vector<Record> records;
  std::size_t good_bytes = 0;
  while (const auto record = Decode(ByteView(content).subspan(good_bytes))) {
    records.push_back(*record);
    good_bytes += kHeadBytes + record->compiled.size();
  }
  std::unique_ptr<CompiledKernelFile> self(new CompiledKernelFile());
  for (const Record& record : records)
    self->kernels_[record.key] = Bytes(record.compiled.begin(), record.compiled.end());
  self->file_bytes_ = content.size();
  std::optional<Bytes> remade;
  if (good_bytes != content.size() || content.size() > kHalfFullBytes) remade = Remake(records);
  if (auto status = self->BeginToKeep(path, remade); !status)
    LOG_WARN("worker: no more compiled kernels are kept: {}", status.error().message);
  return self;
}

Status CompiledKernelFile::BeginToKeep(const std::string& path,
                                       const std::optional<Bytes>& remade) {
  if (remade.has_value()) {
    LOG_INFO("worker: {} made anew: {} of {} bytes go on", path, remade->size(), file_bytes_);
    FALLOW_RETURN_IF_ERROR(
        WriteFileAtomically(path, {reinterpret_cast<const char*>(remade->data()), remade->size()}));
    file_bytes_ = remade->size();
  }
  FALLOW_ASSIGN_OR_RETURN(file_, OpenFileToAppend(path));
  return {};
}

ByteView CompiledKernelFile::Find(const Digest& key) const {
  const auto found = kernels_.find(key);
  return found == kernels_.end() ? ByteView{} : ByteView(found->second);
}

void CompiledKernelFile::Keep(const Digest& key, ByteView compiled) {
  if (file_ == nullptr || compiled.size() > kMaxKernelBytes ||
      file_bytes_ + kHeadBytes + compiled.size() > kMaxKernelFileBytes)
    return;
  const Bytes record = Encode({key, compiled});
  if (auto status = file_->Write(record); !status) {
    LOG_WARN("worker: compiled kernels are not kept: {}", status.error().message);
    // What follows half a record would never be read.
    file_.reset();
    return;
  }
  file_bytes_ += record.size();
  kernels_[key] = Bytes(compiled.begin(), compiled.end());
}

}  // namespace fallow
