// What a process keeps in memory, and giving it back.
//
// MADV_DONTNEED makes a private mapping of a file read from the file again. That is free for pages
// that nobody wrote, and would undo what was written to the others: relocated addresses above all.
// So only segments are given back that hold no written page, by two independent rules:
//   - the program header says that the segment is not writable. The loader relocates writable
//     segments only (what it makes read-only afterwards, RELRO, lies in them), but for files with
//     text relocations, which are left alone;
//   - the kernel counts no written page in the mapping (a debugger's breakpoint is one).
// The loader's lock, which dl_iterate_phdr holds, keeps files from being unloaded meanwhile. While
// it has loaded and unloaded nothing since, the segments that were found last time are these again.
#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "platform/background.h"
#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// [begin, end) in this process.
struct AddressRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

// A programs' mappings take some hundred bytes each in smaps; far more than any of ours has.
constexpr std::size_t kMaxSmapsBytes = 8 << 20;

// "55e0c8a00000-55e0c8a21000 r-xp 00000000 fe:00 247498   /usr/bin/head", private, not writable and
// of a file.
std::optional<AddressRange> ParseReadOnlyFileMapping(std::string_view line) {
  AddressRange range;
  const char* const end = line.data() + line.size();
  const auto [dash, begin_error] = std::from_chars(line.data(), end, range.begin, 16);
  if (begin_error != std::errc() || dash == end || *dash != '-') return std::nullopt;
  const auto [space, end_error] = std::from_chars(dash + 1, end, range.end, 16);
  if (end_error != std::errc() || end - space < 5) return std::nullopt;
  const std::string_view rights(space + 1, 4);
  if (rights[1] != '-' || rights[3] != 'p') return std::nullopt;
  // "[vdso]" and its like are no files.
  const auto path = line.find_last_of(' ');
  if (path == std::string_view::npos || line.substr(path + 1, 1) != "/") return std::nullopt;
  return range;
}

bool IsMappingLine(std::string_view line) {
  const auto end = line.find(' ');
  const auto dash = line.find('-');
  return end != std::string_view::npos && dash < end;
}

// The mappings of files in `smaps` (as in /proc/self/smaps) none of whose pages was written.
std::vector<AddressRange> UnwrittenFileMappings(std::string_view smaps) {
  std::vector<AddressRange> found;
  std::optional<AddressRange> current;
  while (!smaps.empty()) {
    const std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(smaps.size(), line.size() + 1));
    if (IsMappingLine(line)) {
      current = ParseReadOnlyFileMapping(line);
    } else if (current && line.starts_with("Anonymous:")) {
      // A kernel that does not count them gives no such line, and nothing is given back.
      if (Trimmed(line.substr(10)) == "0 kB") found.push_back(*current);
      current.reset();
    }
  }
  return found;
}

bool HasTextRelocations(const dl_phdr_info& file) {
  for (const ElfW(Phdr) & header : std::span(file.dlpi_phdr, file.dlpi_phnum)) {
    if (header.p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(file.dlpi_addr + header.p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_TEXTREL) return true;
      if (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0) return true;
    }
  }
  return false;
}

void GiveBack(const AddressRange& range) {
  ::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED);
}

// What may be given back, and the loader's counts when that was found.
struct Trimmable {
  std::vector<AddressRange> ranges;
  unsigned long long loaded_count = 0;
  unsigned long long unloaded_count = 0;
  bool known = false;
};

void AddParts(AddressRange segment, const std::vector<AddressRange>& unwritten,
              std::uintptr_t page_bytes, std::vector<AddressRange>& parts) {
  for (const AddressRange& mapping : unwritten) {
    const std::uintptr_t begin = std::max(segment.begin, mapping.begin);
    const std::uintptr_t end = std::min(segment.end, mapping.end);
    if (begin >= end) continue;
    // A page that two segments share belongs to both mappings only by its file: whole pages alone.
    const std::uintptr_t first = (begin + page_bytes - 1) / page_bytes * page_bytes;
    const std::uintptr_t last = end / page_bytes * page_bytes;
    if (first < last) parts.push_back({first, last});
  }
}

struct Visit {
  const std::vector<AddressRange>& unwritten;
  std::uintptr_t page_bytes;
  Trimmable& found;
};

int GiveBackFile(dl_phdr_info* file, std::size_t, void* context) {
  const auto& visit = *static_cast<const Visit*>(context);
  visit.found.loaded_count = file->dlpi_adds;
  visit.found.unloaded_count = file->dlpi_subs;
  if (HasTextRelocations(*file)) return 0;
  for (const ElfW(Phdr) & header : std::span(file->dlpi_phdr, file->dlpi_phnum)) {
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = file->dlpi_addr + header.p_vaddr;
    const std::size_t before = visit.found.ranges.size();
    AddParts({begin, begin + header.p_memsz}, visit.unwritten, visit.page_bytes,
             visit.found.ranges);
    std::ranges::for_each(std::span(visit.found.ranges).subspan(before), GiveBack);
  }
  return 0;
}

// The first file tells whether anything was loaded or unloaded since. Stops there.
int GiveBackAgain(dl_phdr_info* file, std::size_t, void* context) {
  auto& trimmable = *static_cast<Trimmable*>(context);
  trimmable.known = trimmable.known && trimmable.loaded_count == file->dlpi_adds &&
                    trimmable.unloaded_count == file->dlpi_subs;
  if (trimmable.known) std::ranges::for_each(trimmable.ranges, GiveBack);
  return 1;
}

void GiveBackFiles(Trimmable& trimmable) {
  ::dl_iterate_phdr(GiveBackAgain, &trimmable);
  if (trimmable.known) return;
  trimmable = {};
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  const auto smaps = ReadKernelText("/proc/self/smaps", kMaxSmapsBytes);
  if (!smaps || page_bytes <= 0) return;
  const auto unwritten = UnwrittenFileMappings(*smaps);
  Visit visit{unwritten, static_cast<std::uintptr_t>(page_bytes), trimmable};
  ::dl_iterate_phdr(GiveBackFile, &visit);
  trimmable.known = true;
}

}  // namespace

std::optional<std::uint64_t> ResidentBytes(std::int64_t process_id) {
  // "total resident shared …", in pages.
  const auto text = ReadKernelText(fmt::format("/proc/{}/statm", process_id), 256);
  if (!text) return std::nullopt;
  const auto space = text->find(' ');
  if (space == std::string::npos) return std::nullopt;
  const std::string_view rest = std::string_view(*text).substr(space + 1);
  const auto pages = ParseKernelNumber(rest.substr(0, rest.find(' ')));
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (!pages || *pages < 0 || page_bytes <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(*pages) * static_cast<std::uint64_t>(page_bytes);
}

void TrimResidentMemory() {
  static std::mutex mutex;
  static Trimmable trimmable;
  const std::lock_guard lock(mutex);
  GiveBackFiles(trimmable);
  ::malloc_trim(0);
}

}  // namespace fallow
