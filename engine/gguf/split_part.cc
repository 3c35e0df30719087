#include "engine/gguf/split_part.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/gguf/limits.h"

namespace fallow::engine {
namespace {

constexpr std::string_view kEnding = ".gguf";
constexpr std::string_view kBetween = "-of-";
constexpr std::size_t kDigits = 5;

// Takes `text` off the end of `from`.
bool TakeEnd(std::string_view& from, std::string_view text) {
  if (!from.ends_with(text)) return false;
  from.remove_suffix(text.size());
  return true;
}

bool TakeNumber(std::string_view& from, std::uint32_t& number) {
  if (from.size() < kDigits) return false;
  const char* const end = from.data() + from.size();
  const auto [stop, error] = std::from_chars(end - kDigits, end, number);
  if (error != std::errc() || stop != end) return false;
  from.remove_suffix(kDigits);
  return true;
}

}  // namespace

Result<std::optional<SplitPlace>> FindSplitPlace(const GgufFile& file) {
  FALLOW_ASSIGN_OR_RETURN(const auto count, file.FindUint("split.count"));
  if (count.value_or(0) <= 1) return std::nullopt;
  if (*count > kMaxGgufSplitParts) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("split.count: {} parts; at most {} are allowed", *count, kMaxGgufSplitParts));
  }
  FALLOW_ASSIGN_OR_RETURN(const std::uint64_t number, file.RequireUint("split.no"));
  if (number >= *count) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("split.no: {}, of {} parts counted from 0", number, *count));
  }
  FALLOW_ASSIGN_OR_RETURN(const auto tensors, file.FindUint("split.tensors.count"));
  return SplitPlace{static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(*count),
                    tensors};
}

Status CheckIsWhole(const GgufFile& file) {
  FALLOW_ASSIGN_OR_RETURN(const auto place, FindSplitPlace(file));
  if (!place.has_value()) return {};
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("the file is part {} of {} of a split model; `fallow models add` joins "
                  "them: give it the first, …-00001-of-{:05}.gguf, with the others beside it",
                  place->number + 1, place->count, place->count));
}

std::optional<SplitName> ParseSplitName(std::string_view file_name) {
  SplitName name;
  if (!TakeEnd(file_name, kEnding) || !TakeNumber(file_name, name.count) ||
      !TakeEnd(file_name, kBetween) || !TakeNumber(file_name, name.number) ||
      !TakeEnd(file_name, "-") || name.number == 0 || name.number > name.count) {
    return std::nullopt;
  }
  name.stem = file_name;
  return name;
}

std::string FormatSplitName(const SplitName& name) {
  return fmt::format("{}-{:05}{}{:05}{}", name.stem, name.number, kBetween, name.count, kEnding);
}

}  // namespace fallow::engine
