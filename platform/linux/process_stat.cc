#include "platform/linux/process_stat.h"

#include <array>
#include <string_view>

#include "platform/linux/kernel_files.h"

namespace fallow {
namespace {

// Fields by their number in proc(5). The second is the name in parentheses, which may hold
// anything: fields are counted from the last ')'.
constexpr std::size_t kFirstAfterName = 3;
constexpr std::size_t kParent = 4;
constexpr std::size_t kUserTicks = 14;
constexpr std::size_t kSystemTicks = 15;
constexpr std::size_t kChildrenUserTicks = 16;
constexpr std::size_t kChildrenSystemTicks = 17;
constexpr std::size_t kStartTicks = 22;

}  // namespace

std::optional<ProcessStat> ParseProcessStat(std::string_view text) {
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(name_end + 1);
  std::array<std::int64_t, kStartTicks + 1> fields{};
  for (std::size_t field = kFirstAfterName; field <= kStartTicks; ++field) {
    rest = Trimmed(rest);
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    if (field == kFirstAfterName) continue;  // the state, a letter
    const auto value = ParseKernelNumber(word);
    if (!value) return std::nullopt;
    fields[field] = *value;
  }
  return ProcessStat{
      .parent = fields[kParent],
      .own_ticks = fields[kUserTicks] + fields[kSystemTicks],
      .ended_children_ticks = fields[kChildrenUserTicks] + fields[kChildrenSystemTicks],
      .start_ticks = fields[kStartTicks]};
}

std::optional<ProcessStat> ReadProcessStat(const std::string& proc, std::int64_t process_id) {
  constexpr std::size_t kLongestStat = 4096;
  const auto text = ReadKernelText(proc + "/" + std::to_string(process_id) + "/stat", kLongestStat);
  return text ? ParseProcessStat(*text) : std::nullopt;
}

}  // namespace fallow
