// What a GGUF file says of itself when a model's tensors are split over several files, and how such
// files are named: NAME-00001-of-00003.gguf. Keys count parts from 0, names from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/gguf/gguf_file.h"

namespace fallow::engine {

struct SplitPlace {
  std::uint32_t number = 0;                   // from 0, below `count`
  std::uint32_t count = 0;                    // of parts, 2 to kMaxGgufSplitParts
  std::optional<std::uint64_t> tensor_count;  // of all parts together
};
// None: the file is whole. kInvalidArgument: its split keys contradict themselves.
Result<std::optional<SplitPlace>> FindSplitPlace(const GgufFile& file);

// kInvalidArgument with the way out when the file is a part and not the whole.
Status CheckIsWhole(const GgufFile& file);

struct SplitName {
  std::string stem;          // "NAME", with its folders
  std::uint32_t number = 0;  // from 1
  std::uint32_t count = 0;
};
// None: the name is not of that form.
std::optional<SplitName> ParseSplitName(std::string_view file_name);
std::string FormatSplitName(const SplitName& name);

}  // namespace fallow::engine
